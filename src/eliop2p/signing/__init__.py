"""
Signatures of requests: checking those of clients, making those of the node. No I/O.
"""
