"""
An in-memory network, and the other ends of what the store side talks to.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import (
    IBodyReceiver,
    IBodySource,
    INetwork,
    IOriginResponse,
    IWorker,
)

_T = TypeVar("_T")

GET = RequestHead(b"GET", b"/b/k", ((b"hOsT", b"store"), (b"X-a", b"1")))
PUT = RequestHead(b"PUT", b"/b/k", ((b"Host", b"store"), (b"Content-Length", b"6")))


class Wire(StringTransport):
    """
    The server's end of a connection. Gives the client nothing while it is paused, and
    closes on the next turn of the clock.
    """

    def __init__(self, clock: Clock, client: IProtocol) -> None:
        super().__init__()
        self._clock = clock
        self._client = client
        self._inbound: list[bytes] = []
        self.open = True

    def sent(self) -> bytes:
        """
        Take what the client has sent since the last call.
        """
        data: bytes = self.value()
        self.clear()
        return data

    def say(self, *parts: bytes) -> None:
        """
        Send to the client, each part in a read of its own.
        """
        self._inbound += parts
        self._flush()

    def hang_up(self, reason: Exception | None = None) -> None:
        """
        Close the connection.
        """
        if self.open:
            self.open = False
            if self.producer is not None:
                self.producer.stopProducing()
            self._client.connectionLost(Failure(reason or ConnectionDone()))

    def block(self) -> None:
        """
        Take no more from the client's producer.
        """
        cast("Any", self.producer).pauseProducing()

    def unblock(self) -> None:
        """
        Take more from the client's producer.
        """
        cast("Any", self.producer).resumeProducing()

    @property
    def paused(self) -> bool:
        """
        Whether the client reads nothing.
        """
        return self.producerState == "paused"

    def resumeProducing(self) -> None:
        """
        Give the client what has come meanwhile.
        """
        super().resumeProducing()
        self._flush()

    def loseConnection(self) -> None:
        """
        Close on the next turn.
        """
        self._clock.callLater(0, self.hang_up)

    def abortConnection(self) -> None:
        """
        Close on the next turn, rudely.
        """
        self._clock.callLater(0, self.hang_up, ConnectionAborted())

    def _flush(self) -> None:
        while self._inbound and self.open and not self.paused:
            self._client.dataReceived(self._inbound.pop(0))


@implementer(INetwork)
class FakeNetwork:
    """
    Connects to nothing and keeps the wires.

    Attributes:
        wires: One for each connection made.
        calls: The arguments of each attempt: host, port, timeout, tls.
        error: Fails the attempts while it is set.
        hanging: Whether attempts wait, for ever; ``factories`` keeps what they gave.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.wires: list[Wire] = []
        self.calls: list[tuple[str, int, float, bool]] = []
        self.error: Exception | None = None
        self.hanging = False
        self.factories: list[IProtocolFactory] = []

    def listen(self, host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
        """
        Not used here.
        """
        raise NotImplementedError

    def connect(
        self,
        host: str,
        port: int,
        factory: IProtocolFactory,
        timeout: float,
        tls: bool,
    ) -> "Deferred[Any]":
        """
        Connect, fail or hang.
        """
        self.calls.append((host, port, timeout, tls))
        if self.hanging:
            self.factories.append(factory)
            return Deferred()
        if self.error is not None:
            return fail(self.error)
        return execute(self.make, factory)

    def make(self, factory: IProtocolFactory) -> IProtocol:
        """
        Make a connection.
        """
        client = factory.buildProtocol(cast("Any", None))
        assert client is not None
        self.wires.append(Wire(self._clock, client))
        client.makeConnection(self.wires[-1])
        return client


@implementer(IBodyReceiver)
class Receiver:
    """
    Keeps what it is told.

    Attributes:
        data: The body so far.
        reads: How many times bytes came.
        ends: ``None`` for a good end, the error for a bad one, in order.
        on_data: Called with each read.
    """

    def __init__(self, on_data: Callable[[], None] | None = None) -> None:
        self.data = b""
        self.reads = 0
        self.ends: list[Exception | None] = []
        self.on_data = on_data

    def data_received(self, data: bytes) -> None:
        """
        Keep the bytes.
        """
        assert not self.ends
        self.data += data
        self.reads += 1
        if self.on_data is not None:
            self.on_data()

    def body_ended(self) -> None:
        """
        Keep the end.
        """
        self.ends.append(None)

    def body_failed(self, error: Exception) -> None:
        """
        Keep the end.
        """
        self.ends.append(error)


@implementer(IBodySource)
class Source:
    """
    A request body that the test feeds.

    Attributes:
        calls: ``start``, ``pause``, ``resume`` and ``stop``, in order.
    """

    complete = False

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.write: Callable[[bytes], None]
        self.finished: Callable[[], None]
        self.failed: Callable[[], None]

    def start(
        self,
        write: Callable[[bytes], None],
        finished: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """
        Keep the callbacks.
        """
        self.calls.append("start")
        self.write, self.finished, self.failed = write, finished, failed

    def pause(self) -> None:
        """
        Note it.
        """
        self.calls.append("pause")

    def resume(self) -> None:
        """
        Note it.
        """
        self.calls.append("resume")

    def stop(self) -> None:
        """
        Note it.
        """
        self.calls.append("stop")


@implementer(IWorker)
class ImmediateWorker:
    """
    Works at once, in the calling thread.
    """

    def run(self, function: Callable[..., _T], *args: object) -> "Deferred[_T]":
        """
        Call the function.
        """
        return execute(function, *args)


@implementer(IWorker)
class SteppedWorker:
    """
    Works when told to.
    """

    def __init__(self) -> None:
        self._waiting: list[Callable[[], object]] = []
        self._results: list[Deferred[Any]] = []

    def run(self, function: Callable[..., _T], *args: object) -> "Deferred[_T]":
        """
        Put the function into the queue.
        """
        result: Deferred[_T] = Deferred()
        self._waiting.append(
            lambda: execute(function, *args).chainDeferred(cast("Any", result))
        )
        self._results.append(result)
        return result

    def drop(self) -> None:
        """
        Cancel the newest piece of work.
        """
        self._results[-1].cancel()

    def step(self) -> None:
        """
        Do the oldest piece of work.
        """
        self._waiting.pop(0)()

    def __len__(self) -> int:
        return len(self._waiting)


class Asked:
    """
    What became of one request.

    Attributes:
        interims: The 1xx heads.
        answers: The response, once there.
        errors: The failure, once there.
    """

    def __init__(self) -> None:
        self.interims: list[ResponseHead] = []
        self.answers: list[IOriginResponse] = []
        self.errors: list[BaseException] = []

    def watch(self, deferred: "Deferred[IOriginResponse]") -> "Asked":
        """
        Follow a request.
        """
        self.deferred = deferred
        deferred.addCallbacks(
            self.answers.append, lambda failure: self.errors.append(failure.value)
        )
        return self

    @property
    def answer(self) -> IOriginResponse:
        """
        The response, which must be there.
        """
        assert not self.errors, self.errors
        (answer,) = self.answers
        return answer

    def read(self) -> Receiver:
        """
        Let the body flow.
        """
        receiver = Receiver()
        self.answer.deliver(receiver)
        return receiver
