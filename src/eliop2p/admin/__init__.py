"""
The operator's HTTP port: health, metrics, status.
"""
