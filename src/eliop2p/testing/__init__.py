"""
What tests and benchmarks of ElioP2P, and of its plugins, build on.
"""
