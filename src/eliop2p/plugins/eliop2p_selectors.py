"""
The policies for choosing peers that come with ElioP2P.
"""

from eliop2p.p2p import policies
from eliop2p.p2p.selectors import NamedSelector

fastest = NamedSelector("fastest", policies.fastest)
nearest = NamedSelector("nearest", policies.nearest)
rarest = NamedSelector("rarest", policies.rarest)
