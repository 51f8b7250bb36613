"""
Tests for :mod:`eliop2p.wire`.
"""
