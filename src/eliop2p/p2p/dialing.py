"""
Connections that are being made, on either side.
"""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from eliop2p.base.errors import PeerUnreachable
from eliop2p.interfaces import OneWay
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.protocol import PeerConnection
from eliop2p.wire.codec import encode

MAX_TOLD = 256 * 1024
"""
Bytes of one-way messages that wait for one peer; further ones are dropped.
"""


@attrs.define(eq=False)
class Dial:
    """
    An attempt to connect, and what waits for it.
    """

    peer: PeerInfo
    waiting: list[Deferred[PeerConnection]] = attrs.Factory(list)
    told: list[OneWay] = attrs.Factory(list)
    told_bytes: int = 0
    attempt: Deferred[Any] | None = None

    def tell(self, message: OneWay) -> None:
        """
        Keep a message until there is a connection, or drop it.
        """
        size = len(encode(message))
        if self.told_bytes + size <= MAX_TOLD:
            self.told_bytes += size
            self.told.append(message)

    def forsake(self, reason: str) -> None:
        """
        Let no request wait any longer; messages do.
        """
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            waiter.errback(PeerUnreachable(f"{self.peer.node_id}: {reason}"))


class Building(Factory):
    """
    Makes the connections that come in.
    """

    noisy = False

    def __init__(self, build: Callable[[], PeerConnection | None]) -> None:
        self._build = build

    def buildProtocol(self, _addr: IAddress | None) -> PeerConnection | None:
        """
        Make one, or refuse it.
        """
        return self._build()
