"""
Whole clusters on a clock.
"""
