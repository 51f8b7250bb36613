"""
Tests for :mod:`eliop2p.storage`.
"""
