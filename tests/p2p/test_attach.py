"""
Tests for :mod:`eliop2p.p2p.attach`.
"""

import random
from collections.abc import Callable

import attrs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.p2p.attach import Standing, Standings, may_attach
from eliop2p.p2p.directory import Directory
from eliop2p.wire.events import Locate, Verdict

CHUNK, DIGEST = ChunkId(bytes(32)), Digest(bytes(32))
LENGTH = 4
STORE = "store"


class RuleTests(SynchronousTestCase):
    """
    The rule itself.
    """

    def test_ahead(self) -> None:
        """
        Who is strictly ahead may give, whatever the tickets.
        """
        self.assertTrue(may_attach(3, 1, 4, 9))
        self.assertTrue(may_attach(0, 0, 1, 0))

    def test_level(self) -> None:
        """
        Who has the same bytes, and some, may not give, whatever the tickets.
        """
        self.assertFalse(may_attach(3, 9, 3, 1))

    def test_empty(self) -> None:
        """
        Of those who have nothing, who joined first may give.
        """
        self.assertTrue(may_attach(0, 9, 0, 1))
        self.assertFalse(may_attach(0, 1, 0, 9))
        self.assertFalse(may_attach(0, 1, 0, 1))

    def test_no_ticket(self) -> None:
        """
        Who has nothing and no ticket neither gives nor takes.
        """
        self.assertFalse(may_attach(0, 0, 0, 1))
        self.assertFalse(may_attach(0, 1, 0, 0))


class StandingsTests(SynchronousTestCase):
    """
    What a node remembers of the chunks it is getting.
    """

    def test_first_ticket_stays(self) -> None:
        """
        The first ticket stands until the end, also while the store is read.
        """
        standings = Standings()
        self.assertEqual(standings.join(CHUNK, 5), 5)
        self.assertEqual(standings.join(CHUNK, 7), 5)
        standings.read_store(CHUNK)
        self.assertEqual(standings.of(CHUNK), Standing(5, True))
        standings.leave(CHUNK)
        self.assertEqual(standings.of(CHUNK), Standing())
        self.assertEqual(len(standings), 0)


@attrs.define
class Member:
    """
    One node and its flight, if it has one.
    """

    flying: bool = False
    complete: bool = False
    filled: int = 0
    ticket: int = 0
    source: str = ""


class Episode:
    """
    Nodes that receive one chunk, two homes, and everything that can go wrong.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 0.0
        self.nodes = {f"n{number}": Member() for number in range(rng.randint(3, 4))}
        self.homes = [Directory(1), Directory(2)]

    def step(self) -> None:
        """
        Let one thing happen.
        """
        steps: dict[Callable[[str, Member], None], int] = {
            self.take_off: 4,
            self.ask_home: 4,
            self.ask_anybody: 6,
            self.receive: 3,
            self.lose_source: 6,
            self.fail_to_read: 3,
            self.crash_or_evict: 1,
        }
        node_id = self.rng.choice(sorted(self.nodes))
        (step,) = self.rng.choices(list(steps), list(steps.values()))
        step(node_id, self.nodes[node_id])
        self.now += self.rng.choice((0.1, 0.1, 0.1, 3.0, 30.0))
        self.check()

    def take_off(self, node_id: str, node: Member) -> None:
        """
        A node wants the chunk, perhaps with a beginning from an earlier time.
        """
        if not node.flying and not node.complete:
            filled = self.rng.choice((0, 0, 0, 1))
            self.nodes[node_id] = Member(flying=True, filled=filled)

    def ask_home(self, node_id: str, node: Member) -> None:
        """
        A node without a source asks a home and does what it says.
        """
        if not node.flying or node.source:
            return
        rejected = tuple(name for name in self.nodes if self.rng.random() < 0.1)
        request = Locate(1, CHUNK, node.filled, self.rng.random() < 0.3, rejected)
        home = self.rng.choice(self.homes)
        located = home.locate(node_id, request, lambda _: True, self.now)
        node.ticket = node.ticket or located.ticket
        if located.verdict is Verdict.LEASE:
            node.source = STORE
        for holder in located.holders:
            self.try_to_attach(node, holder.node_id)

    def ask_anybody(self, _: str, node: Member) -> None:
        """
        A node without a source asks all others, whatever homes say.
        """
        for other_id in self.rng.sample(sorted(self.nodes), len(self.nodes)):
            if node.flying:
                self.try_to_attach(node, other_id)

    def try_to_attach(self, node: Member, other_id: str) -> None:
        """
        Ask another for bytes, as the other sees it.
        """
        other = self.nodes[other_id]
        if node.source or other is node or not (other.flying or other.complete):
            return
        reads_store = other.source == STORE and node.filled < LENGTH
        if (
            other.complete
            or reads_store
            or may_attach(node.filled, node.ticket, other.filled, other.ticket)
        ):
            node.source = other_id

    def receive(self, node_id: str, node: Member) -> None:
        """
        Bytes arrive from wherever the node gets them.
        """
        if not node.source:
            return
        limit, whole = LENGTH, True
        if node.source != STORE:
            giver = self.nodes[node.source]
            limit, whole = giver.filled, giver.complete
        node.filled = max(node.filled, min(node.filled + 1, limit))
        if node.filled == LENGTH and whole:
            node.flying, node.complete, node.source = False, True, ""
            for home in self.homes:
                home.have(node_id, CHUNK, DIGEST)

    def lose_source(self, _: str, node: Member) -> None:
        """
        A peer stops giving. A read of the store ends only with the flight.
        """
        if node.source != STORE:
            node.source = ""

    def fail_to_read(self, node_id: str, node: Member) -> None:
        """
        The store fails, and the flight with it.
        """
        if node.source == STORE:
            self.crash_or_evict(node_id, node)

    def crash_or_evict(self, node_id: str, _: Member) -> None:
        """
        A node loses what it has; those that took from it notice, homes perhaps.
        """
        self.nodes[node_id] = Member()
        for other in self.nodes.values():
            if other.source == node_id:
                other.source = ""
        for home in self.homes:
            if self.rng.random() < 0.5:
                home.gone(node_id, CHUNK)

    def check(self) -> None:
        """
        Nobody waits for itself, and nobody is ahead of whom it waits for.
        """
        for start, node in self.nodes.items():
            seen, at = {start}, node.source
            while at and at != STORE:
                assert at not in seen, f"{start} waits for itself"
                seen.add(at)
                at = self.nodes[at].source


class WaitsForTests(SynchronousTestCase):
    """
    The graph of who waits for whom.
    """

    def test_no_cycle(self) -> None:
        """
        Whatever happens, and whatever homes propose, no cycle closes.
        """
        for seed in range(2000):
            episode = Episode(random.Random(seed))
            for _ in range(150):
                episode.step()
