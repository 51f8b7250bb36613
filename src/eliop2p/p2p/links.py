"""
The connections of this node with its peers: made when needed, kept, shared.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from eliop2p.base.errors import PeerBusy, PeerUnreachable, RemoteProtocolError
from eliop2p.interfaces import (
    INetwork,
    IPeerLinks,
    IPeerRequests,
    IPieceTaker,
    IWorker,
    OneWay,
)
from eliop2p.model.peer import PeerInfo, is_seed
from eliop2p.p2p.bandwidth import Bandwidth, make_bandwidth
from eliop2p.p2p.connections import Connections
from eliop2p.p2p.dialing import MAX_TOLD, Building, Dial
from eliop2p.p2p.protocol import PeerConnection
from eliop2p.p2p.pulse import PING_AFTER
from eliop2p.wire.events import Done, Get, Goodbye
from eliop2p.wire.rules import Question, Role
from eliop2p.wire.session import MAX_OUTBOUND, ProofRefused, Session

CONNECT_TIMEOUT = 3.0
"""
Seconds until an attempt to connect fails.
"""

MAX_UNPROVED = 512
"""
Accepted connections that have not proved themselves; another one ends the oldest.
"""

_log = Logger()


@implementer(IPeerLinks)
class PeerLinks:
    """
    One connection for each peer, whoever made it, used both ways.

    When both sides connect at once both connections live, and the older is used.

    Args:
        node_id: Who we are.
        secret: The cluster secret.
        network: The way to the peers.
        clock: For time limits.
        requests: Does what peers ask of this node.
        worker: Reads files.
        rng: Spreads the pings over time.
        nonce: Gives 32 fresh random bytes; not from rng.
        max_peers: A quarter of the connections accepted.
        bandwidth: How fast chunks are sent and taken; as fast as can be when not given.

    Attributes:
        bytes_sent: To all peers, since the start.
        bytes_received: From all peers, since the start.
        messages_sent: Messages that are not bytes of chunks, to all peers.
        refused: Connections of those who do not know the cluster secret.
        protocol_errors: Connections dropped for breaking the rules otherwise.
    """

    def __init__(
        self,
        *,
        node_id: str,
        secret: bytes,
        network: INetwork,
        clock: IReactorTime,
        requests: IPeerRequests,
        worker: IWorker,
        rng: random.Random,
        nonce: Callable[[], bytes],
        max_peers: int,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        self.bytes_sent = self.bytes_received = self.messages_sent = 0
        self.refused = self.protocol_errors = 0
        self._node_id = node_id
        self._secret = secret
        self._network = network
        self._clock = clock
        self._now = clock.seconds
        self._requests = requests
        self._worker = worker
        self._rng = rng
        self._nonce = nonce
        self._bandwidth = bandwidth or make_bandwidth(clock)
        self._max_accepted = 4 * max_peers
        self._port: IListeningPort | None = None
        self._closed = False
        self._emptied: Deferred[None] = Deferred()
        self._proved = Connections(clock)
        self._dials: dict[str, Dial] = {}
        # Every connection, with the attempt that made it or None when it was accepted;
        # in order, so that equal runs act in equal order.
        self._alive: dict[PeerConnection, Dial | None] = {}

    @property
    def uploads(self) -> int:
        """
        The number of uploads under way.
        """
        return sum(connection.uploads for connection in self._alive)

    @property
    def asked(self) -> list[int]:
        """
        For each connection, how many requests the peer has not answered.
        """
        return self._proved.asked()

    def start(self, host: str, port: int) -> IListeningPort:
        """
        Accept connections.

        Raises:
            twisted.internet.error.CannotListenError: The port is taken.
        """
        self._port = self._network.listen(host, port, Building(self._accept))
        return self._port

    def close(self) -> Deferred[None]:
        """
        Accept nothing more, say goodbye to every peer and close, within 2 seconds.
        """
        return Deferred.fromCoroutine(self._close())

    def ask(self, peer: PeerInfo, request: Question) -> Deferred[Any]:
        """
        Send a request and wait for its answer: see :class:`IPeerLinks`.
        """
        return Deferred.fromCoroutine(self._ask(peer, request))

    def get(self, peer: PeerInfo, request: Get, taker: IPieceTaker) -> Deferred[Done]:
        """
        Receive a chunk: see :class:`IPeerLinks`.
        """
        return Deferred.fromCoroutine(self._get(peer, request, taker))

    def tell(self, peer: PeerInfo, message: OneWay) -> None:
        """
        Send a one-way message, if that is possible: see :class:`IPeerLinks`.
        """
        connection = self._proved.usable(peer.node_id)
        if isinstance(message, Goodbye):
            if connection is not None:
                connection.leave()
        elif connection is not None:
            if connection.backlog <= MAX_TOLD:
                connection.send(message)
        elif self.reachable(peer.node_id):
            dial = self._dial(peer)
            dial.tell(message)
            self._start(dial)

    def reachable(self, node_id: str) -> bool:
        """
        Tell whether a peer may be tried: see :class:`IPeerLinks`.
        """
        return not self._closed and not self._proved.suspected(node_id)

    def silence(self, node_id: str) -> float:
        """
        Tell how long nothing was heard of a peer: see :class:`IPeerLinks`.
        """
        connection = self._proved.usable(node_id)
        return math.inf if connection is None else connection.silence(self._now())

    def starved(self, node_id: str) -> bool:
        """
        Tell whether a peer waits for a processor: see :class:`IPeerLinks`.
        """
        connection, now = self._proved.usable(node_id), self._now()
        return (
            connection is not None and connection.silence(now) < now - connection.heard
        )

    def held_back(self) -> bool:
        """
        Tell whether this node reads slowly: see :class:`IPeerLinks`.
        """
        return self._bandwidth.held_back

    def probe(self, peer: PeerInfo) -> None:
        """
        Ask for a sign of life: see :class:`IPeerLinks`.
        """
        connection = self._proved.usable(peer.node_id)
        if connection is not None:
            connection.probe()
        elif self.reachable(peer.node_id):
            self._start(self._dial(peer))

    def doubt(self, node_id: str) -> None:
        """
        Note that a peer is silent: see :class:`IPeerLinks`.
        """
        self._proved.doubt(node_id)
        if node_id in self._dials:
            self._dials[node_id].forsake("it is silent")

    def watch(self, changed: Callable[[str], None]) -> None:
        """
        Be told who can be reached: see :class:`IPeerLinks`.
        """
        self._proved.reachability.watch(changed)

    def welcome(self, node_id: str) -> None:
        """
        Take that a peer is a member anew: see :class:`IPeerLinks`.
        """
        self._proved.pardon(node_id)
        dial = self._dials.get(node_id)
        if dial is not None and dial.attempt is not None and not dial.attempt.called:
            # What was sent before may have been lost on the way.
            again = attrs.evolve(dial, attempt=None)
            self._dials[node_id] = again
            dial.attempt.cancel()
            self._start(again)

    async def _ask(self, peer: PeerInfo, request: Question) -> object:
        connection = await self._connection(peer)
        return await connection.calls.ask(request)

    async def _get(self, peer: PeerInfo, request: Get, taker: IPieceTaker) -> Done:
        connection = await self._connection(peer)
        done = await connection.calls.get(request, taker)
        assert isinstance(done, Done)
        return done

    async def _close(self) -> None:
        self._closed = True
        self._proved.reachability.stop()
        for dial in list(self._dials.values()):
            self._failed(dial, "this node leaves")
            if dial.attempt is not None:
                dial.attempt.cancel()
        for connection in list(self._alive):
            connection.leave()
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        if self._alive:
            await self._emptied

    # --- making connections ----------------------------------------------------

    async def _connection(self, peer: PeerInfo) -> PeerConnection:
        if not self.reachable(peer.node_id):
            raise PeerUnreachable(f"{peer.node_id} failed a moment ago")
        connection = self._proved.usable(peer.node_id)
        if connection is not None:
            return connection
        dial = self._dial(peer)
        if len(dial.waiting) >= MAX_OUTBOUND:
            raise PeerBusy(f"too many requests wait for {peer.node_id}")
        waiter: Deferred[PeerConnection] = Deferred()
        dial.waiting.append(waiter)
        self._start(dial)
        return await waiter

    def _dial(self, peer: PeerInfo) -> Dial:
        dial = self._dials.get(peer.node_id)
        if dial is None:
            dial = self._dials[peer.node_id] = Dial(peer)
        return dial

    def _start(self, dial: Dial) -> None:
        """
        Connect, unless that is under way; what waits must be noted before.
        """
        if dial.attempt is not None:
            return
        peer = dial.peer
        factory = Building(lambda: self._build(Role.CONNECTING, dial))
        dial.attempt = self._network.connect(
            peer.host, peer.port, factory, CONNECT_TIMEOUT, False
        )
        dial.attempt.addErrback(
            lambda failure: self._failed(dial, failure.getErrorMessage())
        )

    def _accept(self) -> PeerConnection | None:
        accepted = [link for link, dial in self._alive.items() if dial is None]
        unproved = [link for link in accepted if link.may_prove]
        if len(accepted) >= self._max_accepted or len(unproved) >= MAX_UNPROVED:
            if not unproved:
                return None
            # Members are quick to prove themselves; others must not keep them out.
            unproved[0].abort("others want to prove themselves")
        return self._build(Role.ACCEPTING, None)

    def _build(self, role: Role, dial: Dial | None) -> PeerConnection | None:
        if self._closed:
            return None
        expected = "" if dial is None or is_seed(dial.peer) else dial.peer.node_id
        connection = PeerConnection(
            Session(role, self._node_id, self._secret, self._nonce, expected),
            self._clock,
            owner=self,
            requests=self._requests,
            worker=self._worker,
            bandwidth=self._bandwidth,
            ping_after=PING_AFTER * self._rng.uniform(0.9, 1.0),
        )
        self._alive[connection] = dial
        return connection

    def _failed(self, dial: Dial, reason: str) -> None:
        """
        Give an attempt up, unless it has succeeded or been given up already.
        """
        peer = dial.peer
        if self._dials.get(peer.node_id) is not dial:
            return
        del self._dials[peer.node_id]
        self._proved.suspect(peer.node_id)
        _log.info("Cannot reach {peer}: {reason}", peer=peer.node_id, reason=reason)
        dial.forsake(reason)

    # --- from the connections --------------------------------------------------

    def established(self, connection: PeerConnection) -> None:
        """
        Use a connection: see :class:`ConnectionOwner`.
        """
        if not self._proved.add(connection):
            connection.abort("there are too many connections with this peer")
            return
        dial = self._dials.pop(connection.peer_id, None)
        own = self._alive[connection]
        if own is not None and is_seed(own.peer):
            self._connected(self._dials.pop(own.peer.node_id, None), connection)
        self._connected(dial, connection)

    def _connected(self, dial: Dial | None, connection: PeerConnection) -> None:
        if dial is None:
            return
        for message in dial.told:
            connection.send(message)
        for waiter in dial.waiting:
            waiter.callback(connection)

    def doubted(self, connection: PeerConnection) -> None:
        """
        Suspect a peer: see :class:`ConnectionOwner`.
        """
        self._proved.suspect(connection.peer_id)

    def trusted(self, connection: PeerConnection) -> None:
        """
        Suspect a peer no longer: see :class:`ConnectionOwner`.
        """
        self._proved.pardon(connection.peer_id)

    def broken(self, error: RemoteProtocolError) -> None:
        """
        Count: see :class:`ConnectionOwner`.
        """
        if isinstance(error, ProofRefused):
            self.refused += 1
        else:
            self.protocol_errors += 1

    def closed(self, connection: PeerConnection) -> None:
        """
        Use a connection no longer: see :class:`ConnectionOwner`.
        """
        dial = self._alive[connection]
        if dial is not None:
            self._failed(dial, "the connection was closed before it was proved")
        if self._proved.remove(connection):
            self._proved.suspect(connection.peer_id)
            if not connection.parted:
                self._requests.lost(connection.peer_id)

    def gone(self, connection: PeerConnection) -> None:
        """
        Forget a connection: see :class:`ConnectionOwner`.
        """
        del self._alive[connection]
        if self._closed and not self._alive:
            self._emptied.callback(None)
