"""
Processes that carry bytes for a node: it decides, they send.
"""
