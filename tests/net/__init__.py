"""
Tests for :mod:`eliop2p.net`.
"""
