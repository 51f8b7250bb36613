"""
Tests for :mod:`eliop2p.http1`.
"""
