"""
Tests for :mod:`eliop2p.signing`.
"""
