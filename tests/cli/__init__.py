"""
Tests for :mod:`eliop2p.cli`.
"""
