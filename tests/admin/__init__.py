"""
Tests for :mod:`eliop2p.admin`.
"""
