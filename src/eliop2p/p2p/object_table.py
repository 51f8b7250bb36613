"""
What a home knows of objects: their records, and whose turn it is to learn one.
"""

from collections import OrderedDict

import attrs

from eliop2p.model.chunk import ObjectId

TURN_SECONDS = 10.0
"""
How long a node has to learn an object's record, in seconds.
"""


@attrs.define
class _Turn:
    """
    A node is learning an object's record.

    Attributes:
        node_id: The node.
        expires: When others may, in seconds.
        stale: Whether the object was written to meanwhile.
    """

    node_id: str
    expires: float
    stale: bool = False


class ObjectTable:
    """
    Records by object, the least recently used out first.

    Args:
        max_bytes: How long the records may be in all.
        max_turns: How many nodes may be learning a record; beyond, the oldest turn is
            forgotten.
    """

    def __init__(
        self, max_bytes: int = 64 * 1024 * 1024, max_turns: int = 65_536
    ) -> None:
        self._max_bytes = max_bytes
        self._max_turns = max_turns
        self._used = 0
        self._records: OrderedDict[ObjectId, bytes] = OrderedDict()
        self._turns: OrderedDict[ObjectId, _Turn] = OrderedDict()

    @property
    def used(self) -> int:
        """
        The length of all records in bytes.
        """
        return self._used

    def find(self, object_id: ObjectId, node_id: str, now: float) -> bytes | None:
        """
        Look an object up.

        Returns:
            Its record; empty when the asker has the turn to learn it, from now on; None
            when somebody, perhaps on the same node, has the turn.
        """
        record = self._records.get(object_id)
        if record is not None:
            self._records.move_to_end(object_id)
            return record
        turn = self._turns.get(object_id)
        if turn is not None and now < turn.expires:
            return None
        self.give_turn(object_id, node_id, now)
        return b""

    def give_turn(self, object_id: ObjectId, node_id: str, now: float) -> None:
        """
        Make it a node's turn, whoever has it.
        """
        self._turns[object_id] = _Turn(node_id, now + TURN_SECONDS)
        self._turns.move_to_end(object_id)
        if len(self._turns) > self._max_turns:
            self._turns.popitem(last=False)

    def publish(self, object_id: ObjectId, node_id: str, record: bytes) -> bool:
        """
        Keep a record; whoever had the turn has it no longer.

        Returns:
            Whether it is kept: not when the object was written to while the node was
            learning it.
        """
        turn = self._turns.pop(object_id, None)
        if turn is not None and turn.stale and turn.node_id == node_id:
            return False
        self._drop(object_id)
        self._records[object_id] = record
        self._used += len(record)
        while self._used > self._max_bytes:
            oldest = next(iter(self._records))
            self._drop(oldest)
        return True

    def release(self, object_id: ObjectId, node_id: str) -> bool:
        """
        Take the turn from a node.

        Returns:
            Whether the node had it.
        """
        turn = self._turns.get(object_id)
        if turn is None or turn.node_id != node_id:
            return False
        del self._turns[object_id]
        return True

    def turns_of(self, node_id: str) -> tuple[ObjectId, ...]:
        """
        Name the objects that a node has the turn to learn.
        """
        return tuple(
            object_id
            for object_id, turn in self._turns.items()
            if turn.node_id == node_id
        )

    def forget(self, object_id: ObjectId) -> None:
        """
        Take that an object was written to: what is known of it, or being learnt, is
        void.
        """
        self._drop(object_id)
        turn = self._turns.get(object_id)
        if turn is not None:
            turn.stale = True

    def _drop(self, object_id: ObjectId) -> None:
        self._used -= len(self._records.pop(object_id, b""))
