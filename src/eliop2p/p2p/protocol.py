"""
A session on a transport: time limits, back-pressure, and who gets which message.
"""

from twisted.internet.interfaces import IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.errors import PeerBusy, PeerUnreachable, RemoteProtocolError
from eliop2p.interfaces import IPeerRequests, IWorker
from eliop2p.model.chunk import Digest
from eliop2p.model.span import Span
from eliop2p.net.copying_stream import Stream
from eliop2p.net.stream import open_stream
from eliop2p.p2p.bandwidth import Bandwidth, ReadPacer
from eliop2p.p2p.calls import Calls
from eliop2p.p2p.connection_owner import ConnectionOwner
from eliop2p.p2p.pulse import (
    HUNG_AFTER,
    MAX_BACKLOG,
    MAX_QUESTIONS,
    PING_AFTER,
    QUIET,
    Pulse,
)
from eliop2p.p2p.serving import Asked, Serving
from eliop2p.wire.events import Data, Done, Fail, Goodbye, Message, Ping, Pong
from eliop2p.wire.rules import Established, Event, Reply
from eliop2p.wire.session import Session

_log = Logger()


@implementer(IPushProducer)
class PeerConnection(Protocol):
    """
    One connection with one peer, used both ways.

    Args:
        session: The rules.
        clock: For the time limits.
        owner: Told what happens.
        requests: Does what the peer asks.
        worker: Reads files.
        bandwidth: What this connection shares with the others.
        ping_after: Seconds of silence until a ping.

    Attributes:
        calls: What is asked of the peer.
        parted: Whether either side has said goodbye.
        backlog: Bytes of messages given to the transport since it has been full.
    """

    _transport: Stream
    _pacer: ReadPacer
    _serving: Serving | None = None

    def __init__(
        self,
        session: Session,
        clock: IReactorTime,
        *,
        owner: ConnectionOwner["PeerConnection"],
        requests: IPeerRequests,
        worker: IWorker,
        bandwidth: Bandwidth,
        ping_after: float = PING_AFTER,
    ) -> None:
        self.calls = Calls(self, clock, bandwidth)
        self.parted = False
        self.backlog = 0
        self._session = session
        self._owner = owner
        self._requests = requests
        self._worker = worker
        self._bandwidth = bandwidth
        self._pulse = Pulse(
            clock, self._ping, self._drop, ping_after, lambda: self.asked + self.uploads
        )
        self._shut = False

    @property
    def heard(self) -> float:
        """
        When the peer last sent anything, in seconds of the clock.
        """
        return self._pulse.heard

    def silence(self, now: float) -> float:
        """
        Tell how many seconds ago there was a sign of the peer.

        For a while an acknowledgement by its kernel is one. The kernel resets the
        connections of a process that dies, and a machine that is gone acknowledges
        nothing; so the peer is there, and waits for a processor, as this node may do.
        """
        silent = now - self.heard
        if not QUIET <= silent < HUNG_AFTER:
            return silent
        return min(silent, self._transport.unacknowledged())

    @property
    def is_open(self) -> bool:
        """
        Whether messages can be sent.
        """
        return self._session.established and not self._shut

    @property
    def peer_id(self) -> str:
        """
        Who is there; empty before it has said so.
        """
        return self._session.peer_id

    @property
    def proved(self) -> bool:
        """
        Whether the peer has proved itself.
        """
        return self._serving is not None

    @property
    def takes_inlined(self) -> bool:
        """
        Whether the peer takes small chunks with answers, and reads what it is sent.
        """
        return self._session.takes_inlined and not self._pulse.full

    @property
    def may_prove(self) -> bool:
        """
        Whether the peer may still prove itself.
        """
        return not self.proved and not self._shut

    @property
    def uploads(self) -> int:
        """
        The number of uploads under way.
        """
        return len(self._serving.uploads) if self._serving else 0

    @property
    def asked(self) -> int:
        """
        The number of requests that the peer has not answered.
        """
        return self._session.asked

    # --- from the transport ----------------------------------------------------

    def connectionMade(self) -> None:
        """
        Say hello.
        """
        assert self.transport is not None
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self._transport = open_stream(self.transport, self)
        self._pacer = ReadPacer(self._bandwidth.down, self._transport, self.transport)
        self._transport.registerProducer(self, True)
        self._pulse.connected()
        self._write(self._session.data_to_send())

    def room(self) -> memoryview | None:
        """
        Tell where the bytes of a chunk that come next belong.
        """
        awaited = self._session.awaited
        return None if awaited is None else self._pacer.cut(self.calls.room(*awaited))

    def filled(self, size: int) -> None:
        """
        Take bytes of a chunk that are where they belong.
        """
        self._heard(size)
        awaited = self._session.awaited
        assert awaited is not None
        ended = self._session.passed(size)
        self._pacer.took_bytes(size)
        self.calls.filled(awaited[0], size)
        if ended is not None and not self._over():
            self._handle(ended)

    def dataReceived(self, data: bytes | memoryview) -> None:
        """
        Take bytes and act upon the messages in them.
        """
        if self._over():
            return
        self._heard(len(data))
        try:
            events = self._session.receive(data)
            self._owner.messages_sent += self._session.take_pongs()
            self._pulse.taken(midway=self._session.midway and not events)
            self._pacer.took(events)
            self._write(self._session.data_to_send())
            for event in events:
                if self._over():
                    return
                self._handle(event)
        except RemoteProtocolError as error:
            self._break(error)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Let go of everything.
        """
        self._transport.lost()
        self._close(f"the connection is lost: {reason.getErrorMessage()}")
        self._pulse.stop()
        self._pacer.stop()
        if self._serving is not None:
            self._serving.lost()
        self._owner.gone(self)

    def pauseProducing(self) -> None:
        """
        The transport is full.
        """
        self._pulse.filled()
        if self._serving is not None:
            self._serving.uploads.pause()

    def resumeProducing(self) -> None:
        """
        The transport is empty.
        """
        self._pulse.drained()
        self.backlog = 0
        if self._serving is not None:
            self._serving.uploads.resume()

    def stopProducing(self) -> None:
        """
        The transport is going: connectionLost follows.
        """

    # --- to the transport ------------------------------------------------------

    def next_request_id(self) -> int:
        """
        Give a number for a new request.

        Raises:
            PeerBusy: There are too many open already.
            PeerUnreachable: The connection is closed.
        """
        if not self.is_open:
            raise PeerUnreachable(f"{self.peer_id} is not connected")
        if self._session.full or self.backlog > MAX_QUESTIONS:
            raise PeerBusy(f"{self.peer_id} has too many requests open")
        return self._session.next_request_id()

    def send(self, message: Message) -> None:
        """
        Send a message, or drop it when the connection is closed.
        """
        if self.is_open:
            self._owner.messages_sent += 1
            self._write(self._session.send(message))

    @property
    def direct(self) -> bool:
        """
        Whether bytes of a chunk are not copied, and may be in a file.
        """
        return self._transport.direct

    def send_data(
        self, request_id: int, payload: bytes | Span, digest: Digest | None = None
    ) -> bool:
        """
        Send bytes of a chunk: see :class:`UploadOutput`.
        """
        if not self.is_open:
            return False
        last = digest if self._session.takes_last else None
        head = self._session.send_data(request_id, len(payload), last)
        self._owner.bytes_sent += len(head) + len(payload)
        self._transport.write_span(head, payload)
        return last is not None

    def doubt(self) -> None:
        """
        The peer owed an answer and said nothing at all.
        """
        self.calls.in_doubt = True
        self._owner.doubted(self)
        self.calls.forsake()

    def probe(self) -> None:
        """
        Ask for a sign of life.
        """
        if self.is_open and self._pulse.asks():
            self._ping()

    def leave(self) -> None:
        """
        Say goodbye and close, once all that was sent has gone out.
        """
        if self._shut:
            return
        if not self.is_open:
            self.abort("this node leaves")
            return
        self.send(Goodbye())
        self._part("this node leaves")

    def abort(self, reason: str) -> None:
        """
        Close at once.
        """
        self._close(reason)
        self._transport.abortConnection()

    def _write(self, data: bytes) -> None:
        if not data:
            return
        self._owner.bytes_sent += len(data)
        self._transport.write(data)
        if self._pulse.full:
            self.backlog += len(data)
            if self.backlog > MAX_BACKLOG:
                self._drop("it does not read its answers")

    def _heard(self, size: int) -> None:
        self._pulse.received()
        self._owner.bytes_received += size
        if self.calls.in_doubt:
            self.calls.resume()
            self._owner.trusted(self)

    # --- what happens ----------------------------------------------------------

    def _handle(self, event: Event) -> None:
        match event:
            case _ if isinstance(event, Reply | Data | Done | Fail):
                self.calls.answered(event)
            case Established():
                self._established()
            case Pong():
                return
            case _:
                self._serve(event)

    def _serve(self, message: Asked) -> None:
        assert self._serving is not None
        self._serving.take(message)
        if isinstance(message, Goodbye):
            self._part("the peer has left")

    def _established(self) -> None:
        self._serving = Serving(
            self.peer_id, self._requests, self._worker, self, self._bandwidth.up
        )
        if self._pulse.full:
            self._serving.uploads.pause()
        self._pulse.established()
        self._owner.established(self)

    def _ping(self) -> None:
        self.send(Ping(self._session.next_request_id()))

    # --- the end ---------------------------------------------------------------

    def _over(self) -> bool:
        return self._shut

    def _break(self, error: RemoteProtocolError) -> None:
        self._owner.broken(error)
        self._drop(str(error))

    def _drop(self, reason: str) -> None:
        if not self._shut:
            peer = self.peer_id or str(self._transport.getPeer())
            _log.warn("Dropped {peer}: {reason}", peer=peer, reason=reason)
            self.abort(reason)

    def _part(self, reason: str) -> None:
        self.parted = True
        self._close(reason)
        self._transport.loseConnection()
        self._pulse.parting(self._transport.abortConnection)

    def _close(self, reason: str) -> None:
        if self._shut:
            return
        self._shut = True
        self._pulse.stop()
        self._transport.unregisterProducer()
        self._owner.closed(self)
        self.calls.fail_all(PeerUnreachable(reason))
        if self._serving is not None:
            self._serving.stop()
