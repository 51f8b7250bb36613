"""
Tests for :mod:`eliop2p.admin.live` and the page that shows it.
"""

import hashlib
import json
from html.parser import HTMLParser
from importlib.resources import files

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.admin.dashboard import PAGES
from eliop2p.admin.live import HISTORY, MAX_MISSED, MAX_WATCHERS, Live
from eliop2p.admin.server import admin_site
from eliop2p.base.metrics import Metrics
from tests.admin.test_explain import no_status

VENDORED = {
    "uplot-1.6.32.min.js": (
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"
    ),
    "uplot-1.6.32.min.css": (
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"
    ),
    "uplot-LICENSE": (
        "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"
    ),
}
"""
SHA-256 of the files as the npm package uplot 1.6.32 has them.
"""


class Connection(StringTransport):
    """
    A connection that may be full, and may be gone.
    """

    gone = False
    protocol: IProtocol

    def loseConnection(self) -> None:
        """
        Go.
        """
        self.gone = True


class Case(SynchronousTestCase):
    """
    A node that somebody may watch.
    """

    def setUp(self) -> None:
        """
        Start.
        """
        self.clock = Clock()
        self.frames = 0
        self.live = Live(self.frame, lambda: (1.0, 2.0), ("time", "a", "b"), self.clock)
        self.live.startService()
        self.addCleanup(self.live.stopService)
        self.site = admin_site(Metrics(), no_status, b"", self.clock, live=self.live)
        self.site.startFactory()
        self.addCleanup(self.site.stopFactory)

    def frame(self) -> dict[str, object]:
        """
        Give a frame that differs from others.
        """
        self.frames += 1
        return {"number": self.frames}

    def ask(self, path: str, *headers: str) -> Connection:
        """
        Ask for a page.
        """
        protocol = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        transport = Connection()
        protocol.makeConnection(transport)
        head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""])
        protocol.dataReceived(head.encode())
        transport.protocol = protocol
        return transport


class LiveTests(Case):
    """
    Those who watch.
    """

    def test_follows(self) -> None:
        """
        Who comes gets the past, how it is now, and from then on a frame a second.
        """
        self.clock.advance(1.0)
        watching = self.ask("/api/v1/events")
        text = watching.value().decode()
        self.assertIn("Content-Type: text/event-stream", text)
        self.assertIn('"samples":[[0.0,1.0,2.0],[1.0,1.0,2.0]]', text)
        self.assertIn('event: frame\ndata: {"number":1}\n\n', text)
        watching.clear()
        self.clock.advance(1.0)
        self.assertIn(b'{"number":2,"sample":[2.0,1.0,2.0]}', watching.value())

    def test_nobody(self) -> None:
        """
        While nobody watches, nothing is described; the past is kept, within a bound.
        """
        for _ in range(HISTORY + 50):
            self.clock.advance(1.0)
        self.assertEqual(self.frames, 0)
        text = self.ask("/api/v1/events").value()
        past = json.loads(text.partition(b"data: ")[2].partition(b"\n")[0])
        self.assertEqual(len(past["samples"]), HISTORY)

    def test_full(self) -> None:
        """
        While the connection of one is full, frames are left out for that one alone, and
        not queued; whoever takes nothing for long is let go.
        """
        full, other = self.ask("/api/v1/events"), self.ask("/api/v1/events")
        producer = full.producer
        assert IPushProducer.providedBy(producer)
        producer.pauseProducing()
        full.clear()
        other.clear()
        self.clock.advance(1.0)
        self.assertEqual(full.value(), b"")
        self.assertIn(b"event: frame", other.value())
        producer.resumeProducing()
        self.clock.advance(1.0)
        self.assertEqual(full.value().count(b"event: frame"), 1)
        producer.pauseProducing()
        for _ in range(MAX_MISSED):
            self.clock.advance(1.0)
        self.assertFalse(full.gone)
        self.clock.advance(1.0)
        self.assertTrue(full.gone)

    def test_bounded(self) -> None:
        """
        So many may watch and no more; a place is free once somebody goes.
        """
        watching = [self.ask("/api/v1/events") for _ in range(MAX_WATCHERS)]
        self.assertEqual(self.live.watchers, MAX_WATCHERS)
        self.assertIn(b" 503 ", self.ask("/api/v1/events").value())
        watching[3].protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.live.watchers, MAX_WATCHERS - 1)
        self.assertIn(b" 200 ", self.ask("/api/v1/events").value())

    def test_stops(self) -> None:
        """
        A node that stops ends every answer.
        """
        watching = self.ask("/api/v1/events")
        self.live.stopService()
        self.assertTrue(watching.value().endswith(b"0\r\n\r\n"))
        self.assertEqual(self.live.watchers, 0)


class _Parts(HTMLParser):
    """
    Finds what a page loads, and what a strict policy forbids.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Look at one element.
        """
        given = dict(attrs)
        if tag in {"script", "img"} or (tag == "link"):
            self.loads.append(given.get("src") or given.get("href") or "")
        self.inline += [
            name for name in given if name == "style" or name.startswith("on")
        ]


class PageTests(Case):
    """
    The page itself.
    """

    def test_loads_only_what_is_served(self) -> None:
        """
        Everything that the page loads is served by the node, under a policy that allows
        nothing else.
        """
        answer = self.ask("/").value()
        self.assertIn(b"Content-Security-Policy: default-src 'none'", answer)
        self.assertNotIn(b"unsafe-inline", answer)
        parts = _Parts()
        parts.feed(answer.partition(b"\r\n\r\n")[2].decode())
        self.assertEqual(parts.inline, [])
        self.assertTrue(parts.loads)
        for path in parts.loads:
            self.assertIn(b" 200 OK", self.ask(path).value()[:20], path)

    def test_unchanged(self) -> None:
        """
        A browser that has a part is not sent it again.
        """
        answer = self.ask("/dashboard/uplot.js").value().decode("latin-1")
        etag = answer.partition("ETag: ")[2].partition("\r\n")[0]
        again = self.ask("/dashboard/uplot.js", f"If-None-Match: {etag}").value()
        self.assertIn(b" 304 ", again[:20])
        self.assertLess(len(again), 1000)

    def test_vendored(self) -> None:
        """
        What others wrote is in the package as they published it, licence included.
        """
        vendor = files("eliop2p.admin").joinpath("static", "vendor")
        found = {
            each.name: hashlib.sha256(each.read_bytes()).hexdigest()
            for each in vendor.iterdir()
        }
        self.assertEqual(found, VENDORED)

    def test_all_served(self) -> None:
        """
        Every file of the page is served.
        """
        static = files("eliop2p.admin").joinpath("static")
        names = {each.name for each in static.iterdir() if each.is_file()}
        served = {file for file, _ in PAGES.values() if "/" not in file}
        self.assertEqual(names, served)
