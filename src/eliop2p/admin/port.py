"""
Everything that operators reach, put together.
"""

from collections.abc import Mapping

from twisted.application.service import MultiService
from twisted.internet.interfaces import IReactorTime

from eliop2p.admin.calls import Call
from eliop2p.admin.evict import Evict
from eliop2p.admin.frame import NAMES, Sights
from eliop2p.admin.live import Live
from eliop2p.admin.server import admin_site
from eliop2p.admin.service import AdminServer
from eliop2p.base.config_sections import AdminConfig
from eliop2p.interfaces import INetwork


def make_admin(
    config: AdminConfig,
    network: INetwork,
    clock: IReactorTime,
    sights: Sights,
    *,
    evict: Evict,
    calls: Mapping[bytes, Call],
) -> MultiService:
    """
    Make the service of the admin port.

    Args:
        config: Where it listens, and the token.
        network: The way in.
        clock: The time.
        sights: What there is to see.
        evict: Drops objects.
        calls: What answers further pages below ``/api/v1``, by their names.
    """
    top = MultiService()
    live = Live(sights.frame, sights.sample, NAMES, clock)
    live.setServiceParent(top)
    site = admin_site(
        sights.metrics,
        sights.status,
        config.token.reveal().encode() if config.token else b"",
        clock,
        evict=evict,
        trails=sights.trails,
        live=live,
        calls=calls,
        peers=sights.peers,
    )
    AdminServer(
        site, network, config.bind_address, config.listen_port
    ).setServiceParent(top)
    return top
