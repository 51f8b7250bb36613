"""
The nouns: objects, chunks, ranges, peers. Pure values.
"""
