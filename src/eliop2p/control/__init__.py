"""
The control plane: its messages, its server and its client.
"""
