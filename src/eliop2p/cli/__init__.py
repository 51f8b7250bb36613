"""
The eliop2p command.
"""
