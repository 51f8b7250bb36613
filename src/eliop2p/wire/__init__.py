"""
The binary protocol between nodes without a socket.
"""
