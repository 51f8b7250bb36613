"""
Tests for :mod:`eliop2p.cache.holdings`.
"""

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import StartError
from eliop2p.cache.holdings import BATCH, MOMENT, Entry, Holdings
from eliop2p.cache.lru import LruPolicy
from eliop2p.cache.policies import POLICIES, make_holdings
from eliop2p.interfaces import BackendSettings
from eliop2p.model.chunk import ChunkId, Digest

_CAPACITY = 1000


def entry_of(number: int, size: int) -> Entry:
    """
    Make an entry.
    """
    chunk_id = ChunkId(number.to_bytes(32, "big"))
    return Entry(chunk_id, Digest(bytes(32)), size, size)


class HoldingsTests(SynchronousTestCase):
    """
    Examples of what is given up, in the order of recency.
    """

    def setUp(self) -> None:
        """
        Make a table from 0.9 down to 0.5 of its capacity.
        """
        self.clock = Clock()
        self.holdings: Holdings[Entry] = Holdings(
            LruPolicy(), _CAPACITY, 0.9, 0.5, self.clock.seconds
        )

    def test_threshold_and_target(self) -> None:
        """
        Nothing is given up below the threshold, and then the oldest down to the target.
        """
        entries = [entry_of(number, 100) for number in range(9)]
        for entry in entries:
            self.assertEqual(self.holdings.victims(100), ())
            self.holdings.add(entry)
        self.assertEqual(self.holdings.victims(100), tuple(entries[:5]))

    def test_batches(self) -> None:
        """
        Beyond what room is needed for, victims are named in batches until the target
        is reached.
        """
        for number in range(900):
            self.holdings.add(entry_of(number, 1))
        while self.holdings.used > 500:
            victims = self.holdings.victims(1)
            self.assertLessEqual(len(victims), BATCH)
            self.assertTrue(victims)
            for entry in victims:
                self.holdings.remove(entry)
        self.assertEqual(self.holdings.victims(0), ())

    def test_in_vain(self) -> None:
        """
        Nothing is given up for what would not fit all the same.
        """
        pinned, free = entry_of(1, 500), entry_of(2, 400)
        self.holdings.add(pinned)
        self.holdings.add(free)
        self.holdings.pin(pinned)
        self.assertEqual(self.holdings.victims(600), ())
        self.assertEqual(self.holdings.victims(_CAPACITY + 1), ())
        self.assertEqual(self.holdings.victims(500), (free,))

    def test_one_use(self) -> None:
        """
        Openings within a moment of the arrival or of a use count for nothing.
        """
        first, second = entry_of(1, 450), entry_of(2, 400)
        self.holdings.add(first)
        self.holdings.add(second)
        self.holdings.touch(first)
        self.clock.advance(MOMENT)
        self.holdings.touch(second)
        self.holdings.touch(first)
        self.clock.advance(MOMENT / 2)
        self.holdings.touch(second)
        self.assertEqual(self.holdings.victims(400), (second, first))

    def test_replicas(self) -> None:
        """
        What is noted of a chunk that is not there, or is going, does no harm.
        """
        entry = entry_of(1, 950)
        self.holdings.note_replicas(entry.chunk_id, 1)
        self.holdings.add(entry)
        self.holdings.note_replicas(entry.chunk_id, 1)
        self.assertEqual(self.holdings.victims(50), (entry,))
        self.holdings.note_replicas(entry.chunk_id, 1)
        self.holdings.touch(entry)


class MakeHoldingsTests(SynchronousTestCase):
    """
    Policies by name.
    """

    def settings(self, eviction: str) -> BackendSettings:
        """
        Make settings with a policy.
        """
        return BackendSettings(_CAPACITY, "", 0.9, 0.8, eviction)

    def test_known(self) -> None:
        """
        Every policy that the configuration knows can be had.
        """
        for name in POLICIES:
            holdings: Holdings[Entry] = make_holdings(
                self.settings(name), Clock().seconds
            )
            holdings.add(entry_of(1, 950))
            self.assertEqual(len(holdings.victims(0)), 1, name)

    def test_unknown(self) -> None:
        """
        Another name is an error that says which there are.
        """
        error = self.assertRaises(
            StartError, make_holdings, self.settings("lfu"), Clock().seconds
        )
        self.assertIn("'lfu'", str(error))
        self.assertIn("tinylfu or wlru or lru", str(error))


class HoldingsMachine(RuleBasedStateMachine):
    """
    The table against two plain lists.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.holdings: Holdings[Entry] = Holdings(
            LruPolicy(), _CAPACITY, 0.9, 0.8, self.clock.seconds
        )
        self.held: list[Entry] = []
        self.pinned: list[Entry] = []
        self.reserved: list[int] = []
        self.number = 0

    @rule(size=st.integers(0, 300))
    def add(self, size: int) -> None:
        """
        Add an entry after making room, as a tier does.
        """
        victims = self.holdings.victims(size)
        free = [entry for entry in self.held if entry not in self.pinned]
        assert list(victims) == free[: len(victims)]
        for victim in victims:
            self.holdings.remove(victim)
            self.held.remove(victim)
        if self.holdings.fits(size):
            self.number += 1
            entry = entry_of(self.number, size)
            self.holdings.add(entry)
            self.held.append(entry)

    @rule(sizes=st.lists(st.integers(0, 100), max_size=3))
    def find(self, sizes: list[int]) -> None:
        """
        Find entries that an earlier process left, should there be room.
        """
        if self.holdings.fits(sum(sizes)):
            entries = [
                entry_of(number, size)
                for number, size in enumerate(sizes, self.number + 1)
            ]
            self.number += len(sizes)
            self.holdings.found(entries)
            self.held += entries

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        """
        Use an entry, long after the last use.
        """
        self.clock.advance(MOMENT)
        entry = data.draw(st.sampled_from(self.held))
        self.holdings.touch(entry)
        self.held.remove(entry)
        self.held.append(entry)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        """
        Pin an entry.
        """
        entry = data.draw(st.sampled_from(self.held))
        self.holdings.pin(entry)
        self.pinned.append(entry)

    @precondition(lambda self: self.pinned)
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        """
        Undo one pin.
        """
        entry = data.draw(st.sampled_from(self.pinned))
        self.holdings.unpin(entry)
        self.pinned.remove(entry)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """
        Remove an entry, pinned or not.
        """
        entry = data.draw(st.sampled_from(self.held))
        self.holdings.remove(entry)
        self.held.remove(entry)

    @rule(size=st.integers(1, 100))
    def reserve(self, size: int) -> None:
        """
        Reserve bytes that fit.
        """
        if self.holdings.fits(size):
            self.holdings.reserve(size)
            self.reserved.append(size)

    @precondition(lambda self: self.reserved)
    @rule()
    def release(self) -> None:
        """
        Release bytes.
        """
        self.holdings.release(self.reserved.pop())

    @invariant()
    def same(self) -> None:
        """
        Chunks and bytes are those of the lists, and the capacity is kept.
        """
        assert set(self.holdings) == set(self.held)
        assert len(self.holdings) == len(self.held)
        counted = {id(entry): entry.size for entry in self.held + self.pinned}
        assert self.holdings.used == sum(counted.values()) + sum(self.reserved)
        assert self.holdings.used <= _CAPACITY


class HoldingsMachineTests(SynchronousTestCase):
    """
    Runs the machine.
    """

    def test_lives(self) -> None:
        """
        The table behaves as two plain lists do.
        """
        run_state_machine_as_test(HoldingsMachine)
