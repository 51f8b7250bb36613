"""
Tests for :mod:`eliop2p.cache`.
"""
