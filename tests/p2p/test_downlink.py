"""
Tests for :mod:`eliop2p.p2p.downlink`.
"""

import math
import random
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.downlink import HALF_LIFE, WINDOW, Downlink
from eliop2p.p2p.speed import Speed
from tests.p2p.tiny_parts import FakeMembership, membership_of


class DownlinkTests(SynchronousTestCase):
    """
    A node that receives chunks of 1000 bytes.
    """

    def setUp(self) -> None:
        """
        Nothing is on its way.
        """
        self.clock = Clock()
        members = FakeMembership(membership_of("a"))
        speed = Speed("a", members, clock=self.clock, rng=random.Random(0))
        self.downlink = Downlink(self.clock, speed)
        self.awaiting: list[tuple[Any, AbstractContextManager[None]]] = []

    def ask(self) -> Any:
        """
        Ask for a chunk.
        """
        chunk = SimpleNamespace(length=1000)
        sink = cast("Any", SimpleNamespace(filled=0, chunk=chunk))
        self.await_again(sink)
        return sink

    def await_again(self, sink: Any) -> None:
        """
        Ask for it, maybe once more.
        """
        awaiting = self.downlink.awaiting(sink)
        awaiting.__enter__()
        self.awaiting.append((sink, awaiting))

    def end(self, sink: Any) -> None:
        """
        Let one request for a chunk end.
        """
        index = next(i for i, (each, _) in enumerate(self.awaiting) if each is sink)
        _, awaiting = self.awaiting.pop(index)
        awaiting.__exit__(None, None, None)

    def receive(self, sink: Any, size: int) -> None:
        """
        Receive bytes of a chunk for as long as a rate takes to be known.
        """
        self.clock.advance(WINDOW)
        sink.filled += size
        self.downlink.came(size)

    def test_unknown(self) -> None:
        """
        While nothing has come, others may take for ever.
        """
        sink, _ = self.ask(), self.ask()
        self.assertEqual(self.downlink.delay(sink), math.inf)

    def test_nothing_comes_any_more(self) -> None:
        """
        What came in the first moments tells how fast the link is when nothing follows:
        those who fall silent then can be told from a slow link.
        """
        first, second = self.ask(), self.ask()
        self.clock.advance(WINDOW / 4)
        first.filled += 500
        self.downlink.came(500)
        self.assertEqual(self.downlink.delay(second), math.inf)
        self.clock.advance(WINDOW)
        self.assertEqual(self.downlink.delay(second), 500 / (500 / (1.25 * WINDOW)))

    def test_alone(self) -> None:
        """
        A chunk that is alone on its way does not wait for itself: who sends it a byte
        at a time is slow.
        """
        sink = self.ask()
        self.assertEqual(self.downlink.delay(sink), 0.0)
        self.receive(sink, 1)
        self.assertEqual(self.downlink.delay(sink), 0.0)

    def test_others(self) -> None:
        """
        Whatever else is on its way may come first, at the rate at which bytes come.
        """
        one, other = self.ask(), self.ask()
        self.receive(one, 500)
        self.assertEqual(self.downlink.delay(one), 1000 / (500 / WINDOW))
        self.assertEqual(self.downlink.delay(other), 500 / (500 / WINDOW))
        self.end(other)
        self.assertEqual(self.downlink.delay(one), 0.0)

    def test_twice(self) -> None:
        """
        A chunk that two peers are asked for is on its way until both have ended.
        """
        sink, other = self.ask(), self.ask()
        self.await_again(sink)
        self.receive(sink, 500)
        self.end(sink)
        self.assertGreater(self.downlink.delay(other), 0.0)
        self.end(sink)
        self.assertEqual(self.downlink.delay(other), 0.0)

    def test_pause(self) -> None:
        """
        A link is as fast as it was before peers fell silent, until that is long ago;
        seconds in which nothing was asked for do not count.
        """
        sink, other = self.ask(), self.ask()
        self.receive(sink, 500)
        before = self.downlink.delay(other)
        self.end(sink)
        self.end(other)
        self.clock.advance(100 * HALF_LIFE)
        self.await_again(sink)
        self.assertEqual(self.downlink.delay(other), before)
        self.receive(sink, 0)
        self.assertLess(self.downlink.delay(other), 1.2 * before)
        self.clock.advance(HALF_LIFE)
        self.downlink.came(0)
        self.assertGreater(self.downlink.delay(other), 1.9 * before)
