"""
Tests for :class:`eliop2p.storage.http_origin.HttpOrigin` over real sockets.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor  # noqa: TID251 - the subject is a socket.
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, ContextFactory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from eliop2p.base.errors import ForbiddenTarget, OriginUnavailable
from eliop2p.interfaces import IBodyReceiver, INetwork, IOriginResponse
from eliop2p.storage.http_origin import HttpOrigin
from tests.storage.doubles import GET, PUT, Source

# Twisted types its reactor as a module without the interfaces that it provides.
_reactor = cast("Any", reactor)


@implementer(INetwork)
class LoopbackNetwork:
    """
    Connects to the own machine, and trusts anybody there.
    """

    def listen(self, host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
        """
        Listen.
        """
        return cast("IListeningPort", _reactor.listenTCP(port, factory, 50, host))

    def connect(
        self,
        host: str,
        port: int,
        factory: IProtocolFactory,
        timeout: float,
        tls: bool,
    ) -> "Deferred[Any]":
        """
        Connect.
        """
        endpoint: Any = HostnameEndpoint(_reactor, host, port, timeout)
        if tls:
            endpoint = wrapClientTLS(CertificateOptions(), endpoint)
        return cast("Deferred[Any]", endpoint.connect(factory))


class Store(Protocol):
    """
    Answers each request by a script: one function for each, called with the protocol
    when the request's last bytes are there.
    """

    def __init__(self, script: list[Callable[["Store"], None]], end: bytes) -> None:
        self._script = script
        self._end = end
        self.seen = b""
        self.taken = 0
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        """
        Wait for the end of the request.
        """
        self.taken += len(data)
        # Of a long request the end is enough.
        self.seen = self.seen[-65536:] + data
        if self.seen.endswith(self._end):
            self.seen = b""
            self._script.pop(0)(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note it.
        """
        self.gone = True

    def say(self, data: bytes) -> None:
        """
        Send.
        """
        assert self.transport is not None
        self.transport.write(data)

    def leave(self) -> None:
        """
        Close.
        """
        assert self.transport is not None
        self.transport.loseConnection()


@implementer(IBodyReceiver)
class Collector:
    """
    Takes a body; the Deferred fires with it.
    """

    def __init__(self, response: IOriginResponse, blink: bool = False) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []
        self._response = response
        self._blink = blink
        response.deliver(self)

    def data_received(self, data: bytes) -> None:
        """
        Keep the bytes; pause for a turn when that is wanted.
        """
        self._parts.append(data)
        if self._blink:
            self._response.pause()
            _reactor.callLater(0, self._response.resume)

    def body_ended(self) -> None:
        """
        Give the body.
        """
        self.done.callback(b"".join(self._parts))

    def body_failed(self, error: Exception) -> None:
        """
        Give the error.
        """
        self.done.errback(error)


class SelfSigned(ContextFactory):
    """
    Serves TLS with a certificate that nobody vouches for.
    """

    def __init__(self) -> None:
        key, certificate = self_signed()
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate(certificate)
        self._context.use_privatekey(key)

    def getContext(self) -> SSL.Context:  # noqa: N802 - Twisted calls it.
        """
        Give the context.
        """
        return self._context


def self_signed() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """
    Make a key and a certificate.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def say(data: bytes, leave: bool = False) -> Callable[[Store], None]:
    """
    Script an answer.
    """

    def act(store: Store) -> None:
        store.say(data)
        if leave:
            store.leave()

    return act


def whole(data: bytes) -> bytes:
    """
    Write an answer with a length.
    """
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data


class SocketTests(TestCase):
    """
    The promises of the origin hold over TCP and TLS.
    """

    timeout = 30

    def listen(
        self,
        *script: Callable[[Store], None],
        tls: bool = False,
        end: bytes = b"\r\n\r\n",
    ) -> HttpOrigin:
        """
        Start a store with a script.
        """
        steps = list(script)
        self.stores: list[Store] = []

        def build() -> Store:
            self.stores.append(Store(steps, end))
            return self.stores[-1]

        factory = Factory.forProtocol(build)
        factory.noisy = False
        port: Any
        if tls:
            port = _reactor.listenSSL(0, factory, SelfSigned(), 50, "127.0.0.1")
        else:
            port = _reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port: int = port.getHost().port
        return self.make(f"http{'s' if tls else ''}://127.0.0.1:{self.port}")

    def make(self, endpoint: str, *, guarded: bool = False) -> HttpOrigin:
        """
        Make an origin.
        """
        origin = HttpOrigin(
            endpoint,
            LoopbackNetwork(),
            _reactor,
            guarded=guarded,
            max_connections=4,
            connect_timeout=5.0,
            read_timeout=20.0,
        )
        self.addCleanup(self._close, origin)
        return origin

    async def _settled(self, origin: HttpOrigin) -> None:
        while origin.connections_open or not all(store.gone for store in self.stores):
            await deferLater(_reactor, 0.01)

    def _close(self, origin: HttpOrigin) -> "Deferred[None]":
        async def closing() -> None:
            await origin.close()
            await self._settled(origin)

        self.stores = getattr(self, "stores", [])
        return Deferred.fromCoroutine(closing())

    async def get(self, origin: HttpOrigin, blink: bool = False) -> bytes:
        """
        Read an object.
        """
        response = await origin.request(GET, None, None)
        return await Collector(response, blink).done

    async def test_large(self) -> None:
        """
        A large body arrives whole, twice over one connection, also when it is paused
        after every read.
        """
        body = os.urandom(4 * 1024 * 1024)
        origin = self.listen(say(whole(body)), say(whole(body)))
        self.assertEqual(await self.get(origin), body)
        self.assertEqual(await self.get(origin, blink=True), body)
        self.assertEqual(len(self.stores), 1)
        self.assertEqual(origin.bytes_in, 2 * len(body))

    async def test_long_head(self) -> None:
        """
        A head that the kernel does not take in one go arrives whole, on a connection
        that is new and on one that was used before.
        """
        head = GET.adding((b"X-Long", os.urandom(8 * 1024 * 1024).hex().encode()))
        origin = self.listen(say(whole(b"one")), say(whole(b"two")))
        for number, answer in enumerate((b"one", b"two"), 1):
            response = await origin.request(head, None, None)
            self.assertEqual(await Collector(response).done, answer)
            (store,) = self.stores
            self.assertEqual(store.taken, number * len(head.serialize()))

    async def test_tls(self) -> None:
        """
        The same holds over TLS.
        """
        body = os.urandom(1024 * 1024)
        origin = self.listen(say(whole(body)), say(whole(body)), tls=True)
        self.assertEqual(await self.get(origin, blink=True), body)
        self.assertEqual(await self.get(origin), body)
        self.assertEqual(len(self.stores), 1)

    async def test_guarded(self) -> None:
        """
        A store that must not be at an internal address, and is, hears not a byte.
        """
        self.listen(say(whole(b"secret")))
        origin = self.make(f"http://127.0.0.1:{self.port}", guarded=True)
        with self.assertRaises(ForbiddenTarget):
            await origin.request(GET, None, None)
        await self._settled(origin)
        self.assertEqual([store.seen for store in self.stores], [b""])

    async def test_paused_store_stops(self) -> None:
        """
        A body that nobody takes stops the store, instead of filling memory.
        """
        body = bytes(64 * 1024 * 1024)
        origin = self.listen(say(whole(body)))
        response = await origin.request(GET, None, None)
        await deferLater(_reactor, 0.2)
        self.assertLessEqual(origin.bytes_in, 1024 * 1024)
        response.abort()
        await self._settled(origin)

    async def test_truncated(self) -> None:
        """
        A body cut short fails, over TCP and over TLS.
        """
        for tls in (False, True):
            origin = self.listen(say(whole(b"x" * 100)[:-1], leave=True), tls=tls)
            with self.assertRaises(OriginUnavailable):
                await self.get(origin)

    async def test_until_close(self) -> None:
        """
        A body that ends with the connection is complete after an orderly close.
        """
        for tls in (False, True):
            origin = self.listen(
                say(b"HTTP/1.1 200 OK\r\n\r\nxyz", leave=True), tls=tls
            )
            self.assertEqual(await self.get(origin), b"xyz")

    async def test_retry(self) -> None:
        """
        A store that closes a kept connection instead of answering is asked again.
        """
        origin = self.listen(say(whole(b"a")), Store.leave, say(whole(b"b")))
        self.assertEqual(await self.get(origin), b"a")
        self.assertEqual(await self.get(origin), b"b")
        self.assertEqual(len(self.stores), 2)

    async def test_refused(self) -> None:
        """
        A port where nobody listens is unavailable, and named.
        """
        port = _reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        number: int = port.getHost().port
        await port.stopListening()
        origin = self.make(f"http://127.0.0.1:{number}")
        with self.assertRaises(OriginUnavailable) as caught:
            await self.get(origin)
        self.assertIn(f"127.0.0.1:{number}", str(caught.exception))

    async def test_upload(self) -> None:
        """
        A body goes out as it comes, after the store has asked for it.
        """
        source = Source()
        origin = self.listen(say(whole(b"done")), end=b"abcdef")
        answer = origin.request(PUT, source, None)
        while "start" not in source.calls:
            await deferLater(_reactor, 0.01)
        source.write(b"abc")
        source.write(b"def")
        source.finished()
        self.assertEqual(await Collector(await answer).done, b"done")

    async def test_upload_back_pressure(self) -> None:
        """
        A store that does not read pauses the source of an upload.
        """

        def stop_reading(store: Store) -> None:
            cast("Any", store.transport).pauseProducing()

        source = Source()
        origin = self.listen(stop_reading)
        answer = origin.request(PUT, source, None)
        piece = bytes(64 * 1024)
        turns_paused = 0
        while turns_paused < 20:
            if source.calls and source.calls[-1] != "pause":
                turns_paused = 0
                source.write(piece)
            else:
                turns_paused += 1
            await deferLater(_reactor, 0.005)
        answer.cancel()
        with self.assertRaises(CancelledError):
            await answer
        self.assertEqual(source.calls[-2:], ["pause", "stop"])
        cast("Any", self.stores[0].transport).resumeProducing()
