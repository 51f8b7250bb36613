"""
The HTTP proxy that clients talk to.
"""
