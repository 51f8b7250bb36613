"""
Where chunks are and how they travel between nodes.
"""
