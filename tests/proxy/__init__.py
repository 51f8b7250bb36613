"""
Tests for :mod:`eliop2p.proxy`.
"""
