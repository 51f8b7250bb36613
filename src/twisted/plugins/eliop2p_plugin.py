"""
The commands ``twist eliop2p`` and ``twistd eliop2p``.
"""

from twisted.application.service import ServiceMaker

eliop2p_service_maker = ServiceMaker(
    "ElioP2P",
    "eliop2p.tap",
    "A peer-to-peer read cache in front of object storage.",
    "eliop2p",
)
