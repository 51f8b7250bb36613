"""
Tests for :mod:`eliop2p.testing`.
"""
