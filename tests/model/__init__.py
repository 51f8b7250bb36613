"""
Tests for :mod:`eliop2p.model`.
"""
