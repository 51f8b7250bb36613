"""
Tests for :mod:`eliop2p.workers`.
"""
