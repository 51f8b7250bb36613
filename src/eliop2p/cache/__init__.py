"""
The cache tiers and the one door to a chunk.
"""
