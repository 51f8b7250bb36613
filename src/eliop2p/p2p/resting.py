"""
What a home knows of the chunks that nobody is getting at the moment, packed.

Most chunks that a directory knows are only held. Such an entry is a bytes object: the
digest, whether it was vouched for, and five bytes for each holder: its number, and how
often it passed the chunk on. No number is given twice: when a node is gone its number
means nothing, so that nothing has to be looked for.
"""

import itertools
import struct
from collections import Counter
from collections.abc import Iterable

from eliop2p.model.chunk import ChunkId, Digest
from eliop2p.p2p.entry import Entry

GREEDY_PART = 4
"""
A node that holds more than this part of a full table makes room out of what it alone
holds, as far as that is found.
"""

MAX_NAMES = 65_536
"""
Above so many nodes those that hold nothing are forgotten before others are numbered.
"""

_TRIES = 8
_HEAD = struct.Struct(">32s?")
_HOLDER = struct.Struct(">IB")


class Names:
    """
    Numbers for the names of nodes.
    """

    def __init__(self) -> None:
        self._fresh = itertools.count()
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def number(self, name: str) -> int:
        """
        Give a node's number, a new one when it has none.
        """
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = next(self._fresh) & 0xFFFFFFFF
            self._names[number] = name
        return number

    def __len__(self) -> int:
        return len(self._names)

    def keep(self, numbers: Iterable[int]) -> None:
        """
        Forget all nodes but some.
        """
        self._names = {number: self._names[number] for number in numbers}
        self._numbers = {name: number for number, name in self._names.items()}

    def name(self, number: int) -> str | None:
        """
        Give the node that has a number; None when it is gone.
        """
        return self._names.get(number)

    def forget(self, name: str) -> int | None:
        """
        Let a node be gone.

        Returns:
            The number that it had.
        """
        number = self._numbers.pop(name, None)
        if number is not None:
            del self._names[number]
        return number


class Resting:
    """
    Packed entries by chunk, in two generations: what is used moves to the younger one,
    and room is made out of the older. An entry whose holders are all gone stays until
    somebody looks at it or room is made.

    Args:
        max_entries: How many there may be.
    """

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._young: dict[ChunkId, bytes] = {}
        self._old: dict[ChunkId, bytes] = {}
        self._names = Names()
        self._held: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, chunk_id: ChunkId) -> Entry | None:
        """
        Look at an entry; changes to it change nothing here.
        """
        packed = self._young.get(chunk_id) or self._old.get(chunk_id)
        entry = None if packed is None else self._unpack(packed)
        if packed is not None and entry is None:
            self.take(chunk_id)
        return entry

    def take(self, chunk_id: ChunkId) -> Entry | None:
        """
        Take an entry out.
        """
        packed = self._young.pop(chunk_id, None) or self._old.pop(chunk_id, None)
        if packed is None:
            return None
        for number, _ in _holders(packed):
            self._count(number, -1)
        return self._unpack(packed)

    def put(self, chunk_id: ChunkId, entry: Entry) -> None:
        """
        Keep an entry that is held and nothing else: see :attr:`Entry.rests`.
        """
        parts = [_HEAD.pack(entry.digest, entry.vouched)]
        for name in entry.complete:
            number = self._number(name)
            self._count(number, 1)
            turns = entry.turns_of(name)
            parts.append(_HOLDER.pack(number, turns))
        self._young[chunk_id] = b"".join(parts)
        if not self._old and len(self._young) > self._max_entries // 2:
            self._age()

    def add(
        self, chunk_id: ChunkId, node_id: str, digest: Digest, most: int
    ) -> bool | None:
        """
        Note one more holder, of a chunk with this digest, without unpacking the entry.

        Returns:
            Whether it is listed: not when that many are. None when there is no entry,
            or one with another digest.
        """
        packed = self._young.get(chunk_id) or self._old.get(chunk_id)
        if packed is None or not packed.startswith(digest):
            return None
        number = self._number(node_id)
        name = number.to_bytes(4, "big")
        places = range(_HEAD.size, len(packed), _HOLDER.size)
        if not any(packed.startswith(name, place) for place in places):
            if len(places) >= most:
                return False
            packed += name + b"\0"
            self._count(number, 1)
        self._old.pop(chunk_id, None)
        self._young[chunk_id] = packed
        return True

    def make_room(self, node_id: str) -> None:
        """
        Drop an entry that was not used for long.

        Args:
            node_id: For whom.
        """
        number = self._number(node_id)
        greedy = GREEDY_PART * self._held[number] > self._max_entries
        # What others hold as well gets a second chance.
        for left in range(_TRIES if greedy else 1, 0, -1):
            if not self._old:
                self._age()
            chunk_id, packed = self._old.popitem()
            holders = [holder for holder, _ in _holders(packed)]
            if left == 1 or not greedy or holders == [number]:
                for holder in holders:
                    self._count(holder, -1)
                return
            self._young[chunk_id] = packed

    def lost(self, node_id: str) -> None:
        """
        Take that a node is gone, with all that it held.
        """
        number = self._names.forget(node_id)
        if number is not None:
            del self._held[number]

    def _number(self, name: str) -> int:
        if len(self._names) >= MAX_NAMES:
            self._names.keep(number for number, held in self._held.items() if held)
        return self._names.number(name)

    def _age(self) -> None:
        self._old, self._young = self._young, self._old

    def _count(self, number: int, change: int) -> None:
        if self._names.name(number) is not None:
            self._held[number] += change

    def _unpack(self, packed: bytes) -> Entry | None:
        digest, vouched = _HEAD.unpack_from(packed)
        named = [(self._names.name(each), count) for each, count in _holders(packed)]
        turns = {name: count for name, count in named if name is not None}
        if not turns:
            return None
        return Entry(digest, vouched, dict.fromkeys(turns, 0), turns=turns)


def _holders(packed: bytes) -> list[tuple[int, int]]:
    return list(_HOLDER.iter_unpack(packed[_HEAD.size :]))
