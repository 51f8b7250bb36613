"""
The commands ``twist eliop2p-control`` and ``twistd eliop2p-control``.
"""

from twisted.application.service import ServiceMaker

eliop2p_control_service_maker = ServiceMaker(
    "ElioP2P control plane",
    "eliop2p.control_tap",
    "The control plane of a cluster of ElioP2P nodes.",
    "eliop2p-control",
)
