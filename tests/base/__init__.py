"""
Tests for :mod:`eliop2p.base`.
"""
