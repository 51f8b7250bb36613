"""
Tests for :mod:`eliop2p.p2p`.
"""
