"""
Connections, and bodies written to them, on a Twisted reactor.
"""
