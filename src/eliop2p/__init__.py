"""
A peer-to-peer read cache in front of object storage.
"""

__version__ = "0.1.0"
