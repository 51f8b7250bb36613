"""
Configuration, errors, logs and metrics: what knows nothing of the rest.
"""
