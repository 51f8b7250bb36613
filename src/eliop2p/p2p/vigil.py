"""
Waits for a home that cannot be passed over, as long as it is there.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from eliop2p.base.errors import PeerUnreachable
from eliop2p.interfaces import IPeerLinks
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.patience import OTHER_HOME_AFTER


class Vigil:
    """
    Ends a question when the peer that it was put to gives no sign of life.

    Args:
        links: Tells whether the peer is heard of.
        clock: The time.
        peer: Whom the question was put to.
        asking: The question.
        after: Seconds until the peer is asked for a sign of life.
        within: Seconds in which it must have given one.
    """

    def __init__(
        self,
        links: IPeerLinks,
        clock: IReactorTime,
        peer: PeerInfo,
        asking: Deferred[Any],
        *,
        after: float,
        within: float,
    ) -> None:
        self._silent = False
        self._links = links
        self._clock = clock
        self._peer = peer
        self._asking = asking
        self._within = within
        self._call = clock.callLater(after, self._probe)

    def end(self, result: object) -> object:
        """
        The question has ended.

        Raises:
            PeerUnreachable: The peer was silent.
        """
        if self._call.active():
            self._call.cancel()
        if self._silent:
            raise PeerUnreachable(f"{self._peer.node_id} gave no sign of life")
        return result

    def _probe(self) -> None:
        self._links.probe(self._peer)
        self._call = self._clock.callLater(self._within, self._judge)

    def _judge(self) -> None:
        silent = self._links.silence(self._peer.node_id) >= self._within
        if silent and not self._links.held_back():
            self._silent = True
            self._links.doubt(self._peer.node_id)
            self._asking.cancel()
        else:
            self._call = self._clock.callLater(OTHER_HOME_AFTER, self._probe)
