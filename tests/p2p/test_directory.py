"""
Tests for :mod:`eliop2p.p2p.directory` and :mod:`eliop2p.p2p.entry`.
"""

from collections import Counter
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.p2p.directory import MAX_COMPLETE, MAX_RECEIVING, REFUSALS, Directory
from eliop2p.p2p.entry import (
    FAN_OUT_READER,
    LATE_GRACE,
    LEASE_GRACE,
    LEASE_SECONDS,
    MOST_TURNED,
    MOST_TURNS,
    RECEIVING_SECONDS,
    Entry,
    Receiving,
)
from eliop2p.wire.events import Locate, Located, Verdict

GOOD, BAD = Digest(b"g" * 32), Digest(b"b" * 32)


def chunk_id(number: int) -> ChunkId:
    """
    Name a chunk.
    """
    return ChunkId(number.to_bytes(32, "big"))


ONE = chunk_id(1)


def everybody(node_id: str) -> bool:
    """
    Nobody is dead.
    """
    return True


class DirectoryTests(SynchronousTestCase):
    """
    The table of a home.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.directory = Directory(7)
        self.now = 0.0
        self.alive: Callable[[str], bool] = everybody

    def ask(
        self,
        node_id: str,
        *rejected: str,
        filled: int = 0,
        can_read: bool = True,
        chunk: ChunkId = ONE,
    ) -> Located:
        """
        Let a node ask.
        """
        request = Locate(3, chunk, filled, can_read, rejected)
        return self.directory.locate(node_id, request, self.alive, self.now)

    def names(self, located: Located) -> list[str]:
        """
        Name the holders of an answer.
        """
        self.assertIs(located.verdict, Verdict.HOLDERS)
        return [holder.node_id for holder in located.holders]

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

    def test_expired_lease(self) -> None:
        """
        A lease ends when its reader does not ask again, not when it does.
        """
        self.ask("a")
        self.now = LEASE_SECONDS - 1
        self.assertEqual(self.ask("a").verdict, Verdict.LEASE)
        self.now += LEASE_SECONDS - 1
        self.assertEqual(self.names(self.ask("b")), ["a"])
        self.now += LEASE_SECONDS
        self.assertEqual(self.ask("c").verdict, Verdict.LEASE)

    def test_rejected_reader(self) -> None:
        """
        An asker that the reader failed waits until the lease is no longer fresh.
        """
        self.ask("a")
        self.now = LEASE_GRACE / 2
        self.assertEqual(self.ask("b", "a").verdict, Verdict.WAIT)
        self.now = LEASE_GRACE
        self.assertEqual(self.ask("b", "a").verdict, Verdict.LEASE)
        self.assertEqual(self.names(self.ask("c", "a")), ["b"])

    def test_late_home(self) -> None:
        """
        A reader that is a better home may have failed the asker only as such: it keeps
        its lease for longer.
        """
        self.directory.leased(ONE, "home", self.now)
        request = Locate(3, ONE, 0, True, ("home",))

        def ask(node_id: str) -> Verdict:
            return self.directory.locate(
                node_id, request, self.alive, self.now, ("home",)
            ).verdict

        self.now = LATE_GRACE - 0.1
        self.assertEqual(ask("a"), Verdict.WAIT)
        self.now = LATE_GRACE
        self.assertEqual(ask("a"), Verdict.LEASE)

    def test_reader_asks_again(self) -> None:
        """
        The reader is not sent to those that wait for it.
        """
        self.ask("a")
        self.ask("b", filled=5)
        self.assertEqual(self.ask("a").verdict, Verdict.LEASE)
        self.directory.have("c", ONE, GOOD)
        self.assertEqual(self.names(self.ask("a")), ["c"])
        self.assertEqual(self.directory.reader(ONE), "")

    def test_reader_gives_up(self) -> None:
        """
        A reader that can no longer read loses its lease by asking.
        """
        self.ask("a")
        self.assertEqual(self.names(self.ask("a", can_read=False)), [])
        self.assertEqual(self.ask("b").verdict, Verdict.LEASE)

    def test_ahead(self) -> None:
        """
        An asker is sent to a receiver that joined later when that is known to be ahead.
        """
        self.ask("reader")
        self.ask("early")
        self.ask("late", filled=9)
        self.assertIn("late", self.names(self.ask("early", "reader", filled=3)))
        self.assertNotIn("late", self.names(self.ask("early", filled=9)))

    def test_conflict(self) -> None:
        """
        Who contradicts what is known of the digest is not listed, and is counted.
        """
        self.assertTrue(self.directory.have("a", ONE, GOOD))
        self.assertFalse(self.directory.have("b", ONE, BAD))
        self.assertEqual(self.directory.holders(ONE), ("a",))
        self.assertFalse(self.directory.have("a", ONE, BAD))
        self.assertEqual(self.directory.conflicts, 2)
        self.assertEqual(len(self.directory), 0)

    def test_reader_is_believed(self) -> None:
        """
        What the reader of the store says stands against what was said before it, and
        against what is said after.
        """
        self.ask("reader")
        self.directory.have("liar", ONE, BAD)
        self.assertTrue(self.directory.have("reader", ONE, GOOD))
        self.assertEqual(self.directory.holders(ONE), ("reader",))
        self.assertFalse(self.directory.have("liar", ONE, BAD))
        self.assertEqual(self.ask("x").digest, GOOD)

    def test_leased_elsewhere(self) -> None:
        """
        Another home's lease is respected, and does not undo a live one.
        """
        self.directory.leased(ONE, "a", self.now)
        self.assertEqual(self.names(self.ask("b")), ["a"])
        self.directory.leased(ONE, "c", self.now)
        self.assertEqual(self.directory.reader(ONE), "a")
        self.now += LEASE_SECONDS
        self.directory.leased(ONE, "c", self.now)
        self.assertEqual(self.directory.reader(ONE), "c")

    def test_interrupted(self) -> None:
        """
        A node that breaks off stops receiving and reading; what it holds stays listed.
        """
        other = chunk_id(2)
        self.directory.have("a", other, GOOD)
        self.ask("a")
        self.ask("b")
        self.directory.interrupted("a")
        self.assertEqual(self.directory.receivers(ONE), ("b",))
        self.assertEqual(self.directory.holders(other), ("a",))
        self.assertEqual(self.ask("c").verdict, Verdict.LEASE)

    def test_lost(self) -> None:
        """
        A node that left is nowhere, and what only it had is forgotten.
        """
        for number in range(1000):
            self.directory.have("a", chunk_id(number), GOOD)
        self.directory.have("b", chunk_id(5), GOOD)
        self.ask("a", chunk=chunk_id(2000))
        self.directory.lost("a")
        self.assertEqual(self.directory.receivers(chunk_id(2000)), ())
        for number in range(1000):
            holders = ("b",) if number == 5 else ()
            self.assertEqual(self.directory.holders(chunk_id(number)), holders)
        self.assertEqual(len(self.directory), 1)
        self.directory.have("a", chunk_id(6), GOOD)
        self.assertEqual(self.directory.holders(chunk_id(7)), ())

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


NODES = st.sampled_from(["a", "b", "c", "d", "e"])
CHUNKS = st.integers(0, 5).map(chunk_id)


class DirectoryMachine(RuleBasedStateMachine):
    """
    Random use, with what must always hold.
    """

    def __init__(self) -> None:
        super().__init__()
        self.directory = Directory(1, candidates=3, max_entries=4)
        self.now = 0.0
        self.dead: set[str] = set()
        self.leases: dict[ChunkId, tuple[str, float]] = {}

    def alive(self, node_id: str) -> bool:
        """
        Tell who is.
        """
        return node_id not in self.dead

    @rule(
        node=NODES,
        chunk=CHUNKS,
        filled=st.integers(0, 3),
        can_read=st.booleans(),
        rejected=st.lists(NODES, max_size=3),
    )
    def locate(
        self,
        node: str,
        chunk: ChunkId,
        filled: int,
        can_read: bool,
        rejected: list[str],
    ) -> None:
        """
        A node asks; a second lease needs a reason.
        """
        reader = self.directory.reader(chunk)
        request = Locate(1, chunk, filled, can_read, tuple(rejected))
        located = self.directory.locate(node, request, self.alive, self.now)
        names = [holder.node_id for holder in located.holders]
        assert len(names) == len(set(names)) <= 3
        assert not {node, *rejected, *self.dead} & set(names)
        assert located.is_hopeless == (located.verdict is Verdict.HOLDERS and not names)
        assert not (can_read and located.is_hopeless)
        assert not names or located.verdict is Verdict.HOLDERS
        if located.verdict is Verdict.LEASE:
            assert can_read
            if reader not in ("", node):
                _, since = self.leases[chunk]
                assert (
                    not self.alive(reader)
                    or self.now >= since + LEASE_SECONDS
                    or (reader in rejected and self.now >= since + LEASE_GRACE)
                )
            if reader != node:
                self.leases[chunk] = (node, self.now)

    @rule(node=NODES, chunk=CHUNKS, digest=st.sampled_from([GOOD, GOOD, BAD]))
    def have(self, node: str, chunk: ChunkId, digest: Digest) -> None:
        """
        A node has a chunk.
        """
        listed = self.directory.have(node, chunk, digest)
        assert listed == (node in self.directory.holders(chunk))

    @rule(node=NODES, chunk=CHUNKS)
    def gone(self, node: str, chunk: ChunkId) -> None:
        """
        A node has it no longer.
        """
        self.directory.gone(node, chunk)
        assert node not in self.directory.holders(chunk)
        assert node not in self.directory.receivers(chunk)

    @rule(node=NODES, chunk=CHUNKS)
    def leased(self, node: str, chunk: ChunkId) -> None:
        """
        Another home gave a lease.
        """
        before = self.directory.reader(chunk)
        self.directory.leased(chunk, node, self.now)
        if self.directory.reader(chunk) != before:
            self.leases[chunk] = (node, self.now)

    @rule(node=NODES, for_good=st.booleans())
    def leave(self, node: str, for_good: bool) -> None:
        """
        A node breaks off or leaves.
        """
        if for_good:
            self.directory.lost(node)
            for number in range(6):
                assert node not in self.directory.holders(chunk_id(number))
        else:
            self.directory.interrupted(node)
        assert not self.directory._receiving.get(node)

    @rule(node=NODES)
    def die_or_rise(self, node: str) -> None:
        """
        A node is suspected, or no longer.
        """
        self.dead ^= {node}

    @rule(seconds=st.sampled_from([0.5, 2.5, 61.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.now += seconds

    @invariant()
    def consistent(self) -> None:
        """
        The indexes say what the entries say, and children are counted.
        """
        directory = self.directory
        assert len(directory) <= 4
        listed = {
            (node, chunk)
            for node, chunks in directory._receiving.items()
            for chunk in chunks
        }
        assert listed == {
            (node, chunk)
            for chunk, entry in directory._active.items()
            for node in entry.receiving
        }
        assert all(directory._receiving.values())
        resting = directory._resting
        held = [
            holder
            for number in range(6)
            if (entry := resting.get(chunk_id(number)))
            for holder in entry.complete
        ]
        counts = {name: resting._held[resting._names.number(name)] for name in held}
        assert counts == Counter(held)
        for entry in directory._active.values():
            assert not entry.rests
            assert entry.complete or entry.receiving
            assert not entry.complete.keys() & entry.receiving.keys()
            assert not entry.reader or entry.reader in entry.receiving
            children = {**entry.complete}
            children |= {name: one.children for name, one in entry.receiving.items()}
            for name, count in children.items():
                sent = [one for one in entry.receiving.values() if one.parent == name]
                assert 0 <= count <= len(sent)


DirectoryMachineTests = DirectoryMachine.TestCase
DirectoryMachineTests.settings = settings(max_examples=80, stateful_step_count=50)
