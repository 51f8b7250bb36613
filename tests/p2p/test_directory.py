"""
Tests for :mod:`eliop2p.p2p.directory` and :mod:`eliop2p.p2p.entry`.
"""

from collections import Counter

from eliop2p.p2p.directory import MAX_COMPLETE, MAX_RECEIVING, REFUSALS, Directory
from eliop2p.p2p.entry import (
    FAN_OUT_READER,
    MOST_TURNED,
    MOST_TURNS,
    RECEIVING_SECONDS,
    Entry,
    Receiving,
)
from eliop2p.wire.events import Locate, Verdict
from tests.p2p.directory_case import ONE, DirectoryCase
from tests.p2p.directory_machine import BAD, GOOD, chunk_id, everybody


class DirectoryTests(DirectoryCase):
    """
    The table of a home.
    """

    def test_first_reads(self) -> None:
        """
        The first asker gets the lease, later ones are sent to it.
        """
        first = self.ask("a")
        self.assertEqual((first.verdict, first.request_id), (Verdict.LEASE, 3))
        self.assertEqual(self.names(self.ask("b")), ["a"])
        self.assertEqual(self.directory.reader(ONE), "a")
        self.assertEqual(self.directory.receivers(ONE), ("a", "b"))

    def test_without_right(self) -> None:
        """
        An asker that cannot read the store is sent to nobody while nobody else could
        have the chunk, not even those in the same plight; then to who reads.
        """
        for _ in range(2):
            for node_id in "ac":
                located = self.ask(node_id, can_read=False)
                self.assertEqual(self.names(located), [])
                self.assertTrue(located.is_hopeless)
        self.assertEqual(self.ask("b").verdict, Verdict.LEASE)
        self.assertEqual(self.names(self.ask("a", can_read=False)), ["b"])

    def test_hope(self) -> None:
        """
        An asker that cannot read the store waits for one that could, or that is getting
        the chunk, unless it is dead, has failed the asker, or asked long ago.
        """
        self.ask("reader")
        self.ask("rich")
        self.directory.gone("reader", ONE)
        self.assertEqual(self.ask("a", can_read=False).verdict, Verdict.WAIT)
        self.assertEqual(self.names(self.ask("a", "rich", can_read=False)), [])
        self.alive = lambda node_id: node_id != "rich"
        self.assertEqual(self.names(self.ask("a", can_read=False)), [])
        self.alive = everybody
        self.now = RECEIVING_SECONDS
        self.assertEqual(self.names(self.ask("a", can_read=False)), [])
        self.directory.have("holder", ONE, GOOD)
        self.ask("poor", can_read=False, filled=3)
        located = self.ask("a", "holder", can_read=False, filled=3)
        self.assertEqual(located.verdict, Verdict.WAIT)

    def test_waiting_node_is_no_source(self) -> None:
        """
        Nobody is sent to a node that itself only waits.
        """
        self.ask("poor", can_read=False)
        self.assertEqual(self.ask("rich").verdict, Verdict.LEASE)

    def test_tickets(self) -> None:
        """
        Tickets grow with each node, and stay the same for one that asks again.
        """
        first, second = self.ask("a").ticket, self.ask("b").ticket
        self.assertLess(0, first)
        self.assertLess(first, second)
        self.assertEqual(self.ask("a").ticket, first)
        self.directory.forget(ONE)
        self.assertLess(second, self.ask("a").ticket)

    def test_complete_first(self) -> None:
        """
        Holders come before receivers, and both before the overloaded.
        """
        self.ask("reader")
        self.ask("relay")
        self.directory.have("holder", ONE, GOOD)
        located = self.ask("x")
        self.assertEqual(self.names(located)[0], "holder")
        self.assertTrue(located.holders[0].complete)
        self.assertFalse(located.holders[1].complete)

    def test_digest(self) -> None:
        """
        What the holders say of a digest is passed on, but not while somebody reads the
        store, who may contradict; what the reader has said always is.
        """
        self.directory.have("holder", ONE, BAD)
        self.assertEqual(self.ask("x").digest, BAD)
        self.assertIs(self.ask("reader", "holder", "x").verdict, Verdict.LEASE)
        self.assertEqual(self.ask("x").digest, b"")
        self.directory.have("reader", ONE, GOOD)
        self.assertEqual(self.ask("x").digest, GOOD)

    def test_load_is_spread(self) -> None:
        """
        Askers are spread evenly over the holders, and then over those that receive.
        """
        for holder in "abcde":
            self.directory.have(holder, ONE, GOOD)
        first = [self.names(self.ask(f"x{number}"))[0] for number in range(10)]
        self.assertEqual(sorted(first[:5]), list("abcde"))
        self.assertEqual(len(set(first)), 10)

    def test_large_crowd(self) -> None:
        """
        Of a thousand nodes that receive a chunk the first is not forgotten: where it
        asks again it is sent to those who joined before it, who may pass the chunk on.
        """
        self.ask("reader")
        first = self.ask("first").ticket
        for number in range(1000):
            self.ask(f"node-{number}")
        again = self.ask("first")
        self.assertEqual(again.ticket, first)
        self.assertEqual(self.names(again), ["reader"])

    def test_lots_are_even(self) -> None:
        """
        Of equal holders each comes first with about as many askers as the others.
        """
        names = [f"node-{number}" for number in range(100)]
        first: Counter[str] = Counter()
        for number in range(1000):
            asker = f"asker-{number}"
            entry = Entry(
                complete=dict.fromkeys(names, 0), receiving={asker: Receiving(1, 0.0)}
            )
            request = Locate(0, ONE, 0, True, ())
            (holder,) = entry.proposals(asker, request, everybody, 0.0, 1)
            first[holder.node_id] += 1
        self.assertEqual(len(first), 100)
        self.assertLess(max(first.values()), 20)

    def test_turns(self) -> None:
        """
        Who passed a chunk on comes after who did not, also when nobody asked for it for
        a while; only who asks again, for want of it, leaves the turn to another.
        """
        for holder in "abcde":
            self.directory.have(holder, ONE, GOOD)
        first = self.names(self.ask("x"))[0]
        self.directory.have("x", ONE, GOOD)
        second = self.names(self.ask("y"))[0]
        self.directory.have("y", ONE, GOOD)
        self.assertTrue(self.directory.holders(ONE))
        third = self.names(self.ask("z"))[0]
        self.assertEqual(len({first, second, third}), 3)
        self.assertEqual(self.names(self.ask("z"))[0], third)

    def test_turns_are_forgotten(self) -> None:
        """
        After some turns a node is as good as any other with as many; of no more nodes
        than are listed for a chunk, several times, is it known how many they had.
        """
        entry = Entry(complete={"a": 0, "b": 0})
        for number in range(MOST_TURNED + 9):
            entry.send(Receiving(number, 0.0), f"gone{number}")
            entry.send(Receiving(number, 0.0), "a")
        self.assertEqual(len(entry.turns), MOST_TURNED)
        self.assertEqual(entry.turns_of("a"), MOST_TURNS)
        self.assertEqual(entry.turns_of("b"), 0)

    def test_depth(self) -> None:
        """
        Of those that had as many turns, who is nearer to the store comes first; a node
        gets its next one rather than that a chain of receivers grows long.
        """
        self.ask("reader")
        parents = [self.names(self.ask(f"x{number}"))[0] for number in range(200)]
        depths = {"reader": 0}
        for number, parent in enumerate(parents):
            depths[f"x{number}"] = depths[parent] + 1
        self.assertLess(max(depths.values()), 20)
        self.assertEqual(max(list(depths.values())[: 1 + 2 * FAN_OUT_READER]), 2)

    def test_slow(self) -> None:
        """
        Nodes that are slow are proposed only where nobody else holds, reads or receives
        the chunk, be others overloaded.
        """
        self.slow = {"reader", "holder"}
        self.assertIs(self.ask("reader").verdict, Verdict.LEASE)
        self.assertEqual(self.names(self.ask("x")), ["reader"])
        for number in range(9):
            self.assertNotIn("reader", self.names(self.ask(f"y{number}")))
        self.directory.have("holder", ONE, GOOD)
        self.assertNotIn("holder", self.names(self.ask("z")))
        for name in ("reader", "x", *(f"y{number}" for number in range(9)), "z"):
            self.directory.gone(name, ONE)
        self.assertEqual(self.names(self.ask("z")), ["holder"])

    def test_chains(self) -> None:
        """
        A reader gets few children; then each receiver gets one before any gets two.
        """
        self.ask("reader")
        parents = [self.names(self.ask(f"x{number}"))[0] for number in range(12)]
        self.assertEqual(parents.count("reader"), FAN_OUT_READER)
        for number in range(12):
            self.assertLessEqual(parents.count(f"x{number}"), 1)

    def test_finished_children(self) -> None:
        """
        A child that has its chunk, or has gone, makes room for another.
        """
        self.ask("reader")
        for number in range(FAN_OUT_READER):
            self.ask(f"x{number}")
        reader = self.directory._active[ONE].receiving["reader"]
        self.assertEqual(reader.children, FAN_OUT_READER)
        self.directory.gone("x0", ONE)
        self.assertEqual(reader.children, FAN_OUT_READER - 1)
        self.directory.have("x1", ONE, GOOD)
        self.assertEqual(reader.children, FAN_OUT_READER - 2)

    def test_bounded_candidates(self) -> None:
        """
        No more nodes are named than was said, and never the asker.
        """
        for number in range(20):
            self.directory.have(f"h{number}", ONE, GOOD)
        names = self.names(self.ask("h3"))
        self.assertEqual(len(names), 5)
        self.assertNotIn("h3", names)
        self.assertNotIn("h3", self.directory.holders(ONE))

    def test_rejected(self) -> None:
        """
        A node is not sent to those that failed it.
        """
        for holder in "abc":
            self.directory.have(holder, ONE, GOOD)
        self.assertEqual(sorted(self.names(self.ask("x", "a", "b"))), ["c"])
        self.assertEqual(self.ask("x", "a", "b", "c").verdict, Verdict.LEASE)

    def test_refused_by_many(self) -> None:
        """
        A node that failed several is no longer listed, until it says it has the chunk.
        """
        self.directory.have("stale", ONE, GOOD)
        for number in range(REFUSALS):
            self.ask(f"x{number}", "stale")
            self.ask(f"x{number}", "stale")
        self.assertEqual(self.directory.holders(ONE), ())
        self.directory.have("stale", ONE, GOOD)
        self.assertEqual(self.directory.holders(ONE), ("stale",))

    def test_dead(self) -> None:
        """
        Nobody is sent to the dead, and their lease is free.
        """
        self.ask("a")
        self.alive = lambda node_id: node_id != "a"
        self.assertEqual(self.ask("b").verdict, Verdict.LEASE)
        self.assertEqual(self.directory.reader(ONE), "b")

    def test_bounds(self) -> None:
        """
        Entries, holders and receivers are bounded; the reader is never crowded out.
        """
        directory = self.directory = Directory(7, max_entries=10)
        for number in range(50):
            directory.have("a", chunk_id(number), GOOD)
            directory.have("a", chunk_id(0), GOOD)
        self.assertEqual(len(directory), 10)
        self.assertEqual(directory.holders(chunk_id(0)), ("a",))
        for number in range(MAX_COMPLETE + 20):
            directory.have(f"h{number}", chunk_id(0), GOOD)
        self.assertEqual(len(directory.holders(chunk_id(0))), MAX_COMPLETE)
        self.ask("reader", chunk=chunk_id(99))
        for number in range(MAX_RECEIVING + 50):
            self.ask(f"x{number}", chunk=chunk_id(99))
        receivers = directory.receivers(chunk_id(99))
        self.assertEqual(len(receivers), MAX_RECEIVING)
        self.assertIn("reader", receivers)
        self.assertIn(f"x{MAX_RECEIVING + 49}", receivers)
