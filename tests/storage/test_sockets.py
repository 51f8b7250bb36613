"""
Tests for :class:`eliop2p.storage.http_origin.HttpOrigin` over real sockets.
"""

import os
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from eliop2p.base.errors import ForbiddenTarget, OriginUnavailable
from eliop2p.storage.http_origin import HttpOrigin
from tests.storage.doubles import GET, PUT, Source
from tests.storage.sockets_case import (
    REAL_REACTOR,
    Collector,
    LoopbackNetwork,
    SelfSigned,
    Store,
    say,
    whole,
)


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
            port = REAL_REACTOR.listenSSL(0, factory, SelfSigned(), 50, "127.0.0.1")
        else:
            port = REAL_REACTOR.listenTCP(0, factory, interface="127.0.0.1")
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
            REAL_REACTOR,
            guarded=guarded,
            max_connections=4,
            connect_timeout=5.0,
            read_timeout=20.0,
        )
        self.addCleanup(self._close, origin)
        return origin

    async def _settled(self, origin: HttpOrigin) -> None:
        while origin.connections_open or not all(store.gone for store in self.stores):
            await deferLater(REAL_REACTOR, 0.01)

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
        await deferLater(REAL_REACTOR, 0.2)
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
        port = REAL_REACTOR.listenTCP(0, Factory(), interface="127.0.0.1")
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
            await deferLater(REAL_REACTOR, 0.01)
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
            await deferLater(REAL_REACTOR, 0.005)
        answer.cancel()
        with self.assertRaises(CancelledError):
            await answer
        self.assertEqual(source.calls[-2:], ["pause", "stop"])
        cast("Any", self.stores[0].transport).resumeProducing()
