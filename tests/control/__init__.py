"""
Tests for :mod:`eliop2p.control`.
"""
