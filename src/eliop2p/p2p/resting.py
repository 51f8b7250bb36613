"""
What a home knows of the chunks that nobody is getting at the moment, packed.

Most chunks that a directory knows are only held. Such an entry is a bytes object: the
digest, whether it was vouched for, and who holds the chunk. Each node has a number, and
of the numbers in their order the distance from one to the next is kept: one byte for
most of them, since a chunk that many hold is held by many of few thousand nodes. How
often each passed the chunk on is kept where few hold it.
"""

from array import array
from bisect import bisect
from itertools import accumulate
from operator import sub

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

FEW = 24
"""
Up to how many holders the turns of each are remembered: where there are more it makes
little difference to whom askers are sent first.
"""

_TRIES = 8
_HEAD = 33
_WIDE = 255
_Holders = list[tuple[int, int]]


class Names:
    """
    Numbers for the names of nodes, and how many entries mention each number.

    The number of a node that is gone means nothing, so that no entry has to be looked
    for. It is given to another node only when no entry mentions it any more.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: list[str | None] = []
        self._mentions = array("L")
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, name: str) -> int | None:
        """
        Give a node's number, a new one when it has none; None when all are taken.
        """
        number = self._numbers.get(name)
        if number is None:
            number = self._take()
            if number is not None:
                self._numbers[name], self._names[number] = number, name
        return number

    def name(self, number: int) -> str | None:
        """
        Give the node that has a number; None when it is gone.
        """
        return self._names[number]

    def forget(self, name: str) -> None:
        """
        Let a node be gone.
        """
        number = self._numbers.pop(name, None)
        if number is not None:
            self._names[number] = None
            if not self._mentions[number]:
                self._free.append(number)

    def mentions(self, number: int) -> int:
        """
        Tell how many entries mention a number.
        """
        return self._mentions[number]

    def count(self, number: int, change: int) -> None:
        """
        Note that entries mention a number, or no longer.
        """
        self._mentions[number] += change
        if not self._mentions[number] and self._names[number] is None:
            self._free.append(number)

    def _take(self) -> int | None:
        if len(self._numbers) >= MAX_NAMES:
            idle = [
                name for name, at in self._numbers.items() if not self._mentions[at]
            ]
            for name in idle:
                self.forget(name)
        if self._free:
            return self._free.pop()
        if len(self._names) >= MAX_NAMES:
            return None
        self._names.append(None)
        self._mentions.append(0)
        return len(self._names) - 1


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
        entry = self._unpack(packed)
        self._drop(packed)
        return entry

    def put(self, chunk_id: ChunkId, entry: Entry) -> None:
        """
        Keep an entry that is held and nothing else: see :attr:`Entry.rests`.
        """
        holders = []
        for name in entry.complete:
            number = self._names.number(name)
            if number is not None:
                self._names.count(number, 1)
                holders.append((number, entry.turns_of(name)))
        if not holders:
            return
        holders.sort()
        numbers, turns = [number for number, _ in holders], bytes(t for _, t in holders)
        self._young[chunk_id] = _pack(entry.digest, entry.vouched, numbers, turns)
        if not self._old and len(self._young) > self._max_entries // 2:
            self._age()

    def add(
        self, chunk_id: ChunkId, node_id: str, digest: Digest, most: int
    ) -> bool | None:
        """
        Note one more holder, of a chunk with this digest, without making an entry.

        Returns:
            Whether it is listed: not when that many are. None when there is no entry,
            or one with another digest.
        """
        packed = self._young.get(chunk_id) or self._old.get(chunk_id)
        if packed is None or not packed.startswith(digest):
            return None
        number = self._names.number(node_id)
        numbers = _numbers(packed)
        if number not in numbers:
            if number is None or len(numbers) >= most:
                return False
            packed = _with_one_more(packed, numbers, number)
            self._names.count(number, 1)
        self._old.pop(chunk_id, None)
        self._young[chunk_id] = packed
        return True

    def make_room(self, node_id: str) -> None:
        """
        Drop an entry that was not used for long.

        Args:
            node_id: For whom.
        """
        number = self._names.number(node_id)
        mine = 0 if number is None else self._names.mentions(number)
        greedy = GREEDY_PART * mine > self._max_entries
        # What others hold as well gets a second chance.
        for left in range(_TRIES if greedy else 1, 0, -1):
            if not self._old:
                self._age()
            chunk_id, packed = self._old.popitem()
            alone = [number] == _numbers(packed)
            if left == 1 or not greedy or alone:
                self._drop(packed)
                return
            self._young[chunk_id] = packed

    def lost(self, node_id: str) -> None:
        """
        Take that a node is gone, with all that it held.
        """
        self._names.forget(node_id)

    def _age(self) -> None:
        self._old, self._young = self._young, self._old

    def _drop(self, packed: bytes) -> None:
        for number in _numbers(packed):
            self._names.count(number, -1)

    def _unpack(self, packed: bytes) -> Entry | None:
        named = [(self._names.name(each), count) for each, count in _holders(packed)]
        turns = {name: count for name, count in named if name is not None}
        if not turns:
            return None
        digest, complete = packed[: _HEAD - 1], dict.fromkeys(turns, 0)
        return Entry(digest, _is_vouched(packed), complete, turns=turns)


def _pack(digest: bytes, vouched: bool, numbers: list[int], turns: bytes) -> bytes:
    """
    Write an entry: digest; twice the number of holders, and 1 when it was vouched for;
    where there are few, the turns of each; and the steps from number to number.

    Args:
        digest: Of the chunk.
        vouched: Whether the reader of the store said so.
        numbers: Of the holders, in order.
        turns: Of the holders.
    """
    count = len(numbers)
    head = bytes((count << 1 | vouched,))
    narrow = list(map(sub, numbers, [0, *numbers]))
    steps = bytes(narrow) if max(narrow) < _WIDE else b"".join(map(_step, narrow))
    return b"".join((digest, head, turns if count <= FEW else b"", steps))


def _step(step: int) -> bytes:
    if step < _WIDE:
        return bytes((step,))
    return bytes((_WIDE,)) + step.to_bytes(2, "big")


def _is_vouched(packed: bytes) -> bool:
    return bool(packed[_HEAD - 1] & 1)


def _turns(packed: bytes) -> bytes:
    """
    Read the turns of the holders; empty where they are not kept.
    """
    count = packed[_HEAD - 1] >> 1
    return packed[_HEAD : _HEAD + count] if count <= FEW else b""


def _numbers(packed: bytes) -> list[int]:
    """
    Read the numbers of the holders, in order.
    """
    count = packed[_HEAD - 1] >> 1
    steps = packed[_HEAD + count :] if count <= FEW else packed[_HEAD:]
    if len(steps) == count:
        return list(accumulate(steps))
    return list(accumulate(_widened(steps)))


def _holders(packed: bytes) -> _Holders:
    """
    Read the numbers of the holders, in order, and their turns.
    """
    numbers = _numbers(packed)
    return list(zip(numbers, _turns(packed) or bytes(len(numbers)), strict=True))


def _with_one_more(packed: bytes, numbers: list[int], number: int) -> bytes:
    """
    Write an entry with one more holder, which had no turn yet.
    """
    at, turns = bisect(numbers, number), _turns(packed)
    numbers.insert(at, number)
    turns = b"".join((turns[:at], b"\0", turns[at:]))
    return _pack(packed[: _HEAD - 1], _is_vouched(packed), numbers, turns)


def _widened(steps: bytes) -> list[int]:
    found, at = [], 0
    while at < len(steps):
        step, at = steps[at], at + 1
        if step == _WIDE:
            step, at = int.from_bytes(steps[at : at + 2], "big"), at + 2
        found.append(step)
    return found
