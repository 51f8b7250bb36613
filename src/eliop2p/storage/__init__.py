"""
Object stores: the origins that the cache stands in front of.
"""
