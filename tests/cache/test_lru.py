"""
Tests for :mod:`eliop2p.cache.lru`.
"""

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cache.lru import BATCH, Entry, LruOrder
from eliop2p.model.chunk import ChunkId, Digest

_CAPACITY = 1000


def entry_of(number: int, size: int) -> Entry:
    """
    Make an entry.
    """
    chunk_id = ChunkId(number.to_bytes(32, "big"))
    return Entry(chunk_id, Digest(bytes(32)), size, size)


class LruTests(SynchronousTestCase):
    """
    Examples of what is given up.
    """

    def test_threshold_and_target(self) -> None:
        """
        Nothing is given up below the threshold, and then the oldest down to the target.
        """
        order: LruOrder[Entry] = LruOrder(_CAPACITY, 0.9, 0.5)
        entries = [entry_of(number, 100) for number in range(9)]
        for entry in entries:
            self.assertEqual(order.victims(100), ())
            order.add(entry)
        self.assertEqual(order.victims(100), tuple(entries[:5]))

    def test_batches(self) -> None:
        """
        Beyond what room is needed for, victims are named in batches until the target
        is reached.
        """
        order: LruOrder[Entry] = LruOrder(_CAPACITY, 0.9, 0.5)
        for number in range(900):
            order.add(entry_of(number, 1))
        while order.used > 500:
            victims = order.victims(1)
            self.assertLessEqual(len(victims), BATCH)
            self.assertTrue(victims)
            for entry in victims:
                order.remove(entry)
        self.assertEqual(order.victims(0), ())

    def test_in_vain(self) -> None:
        """
        Nothing is given up for what would not fit all the same.
        """
        order: LruOrder[Entry] = LruOrder(_CAPACITY, 0.9, 0.5)
        pinned, free = entry_of(1, 500), entry_of(2, 400)
        order.add(pinned)
        order.add(free)
        order.pin(pinned)
        self.assertEqual(order.victims(600), ())
        self.assertEqual(order.victims(_CAPACITY + 1), ())
        self.assertEqual(order.victims(500), (free,))


class LruMachine(RuleBasedStateMachine):
    """
    The order against two plain lists.
    """

    def __init__(self) -> None:
        super().__init__()
        self.order: LruOrder[Entry] = LruOrder(_CAPACITY, 0.9, 0.8)
        self.probation: list[Entry] = []
        self.protected: list[Entry] = []
        self.opened: list[Entry] = []
        self.pinned: list[Entry] = []
        self.reserved: list[int] = []
        self.number = 0

    def held(self) -> list[Entry]:
        """
        Give the entries in the order of giving up.
        """
        return self.probation + self.protected

    @rule(size=st.integers(0, 300))
    def add(self, size: int) -> None:
        """
        Add an entry after making room, as a tier does.
        """
        for victim in self.order.victims(size):
            assert victim not in self.pinned
            self.order.remove(victim)
            self.drop(victim)
        if self.order.fits(size):
            self.number += 1
            entry = entry_of(self.number, size)
            self.order.add(entry)
            self.probation.append(entry)

    def drop(self, entry: Entry) -> None:
        """
        Take an entry out of the lists.
        """
        segment = self.probation if entry in self.probation else self.protected
        segment.remove(entry)

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        """
        Use an entry.
        """
        entry = data.draw(st.sampled_from(self.held()))
        self.order.touch(entry)
        promoted = entry in self.opened
        self.opened.append(entry)
        self.drop(entry)
        (self.protected if promoted else self.probation).append(entry)
        while sum(entry.size for entry in self.protected) > _CAPACITY * 0.8 * 0.75:
            self.probation.append(self.protected.pop(0))

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        """
        Pin an entry.
        """
        entry = data.draw(st.sampled_from(self.held()))
        self.order.pin(entry)
        self.pinned.append(entry)

    @precondition(lambda self: self.pinned)
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        """
        Undo one pin.
        """
        entry = data.draw(st.sampled_from(self.pinned))
        self.order.unpin(entry)
        self.pinned.remove(entry)

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """
        Remove an entry, pinned or not.
        """
        entry = data.draw(st.sampled_from(self.held()))
        self.order.remove(entry)
        self.drop(entry)

    @rule(size=st.integers(1, 100))
    def reserve(self, size: int) -> None:
        """
        Reserve bytes that fit.
        """
        if self.order.fits(size):
            self.order.reserve(size)
            self.reserved.append(size)

    @precondition(lambda self: self.reserved)
    @rule()
    def release(self) -> None:
        """
        Release bytes.
        """
        self.order.release(self.reserved.pop())

    @invariant()
    def same(self) -> None:
        """
        Order and bytes are those of the lists, and the capacity is kept.
        """
        assert list(self.order) == self.held()
        assert len(self.order) == len(self.held())
        counted = {id(entry): entry.size for entry in self.held() + self.pinned}
        assert self.order.used == sum(counted.values()) + sum(self.reserved)
        assert self.order.used <= _CAPACITY


class LruMachineTests(SynchronousTestCase):
    """
    Runs the machine.
    """

    def test_lives(self) -> None:
        """
        The order behaves as two plain lists do.
        """
        run_state_machine_as_test(LruMachine)
