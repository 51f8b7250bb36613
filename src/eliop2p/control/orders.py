"""
Commands for nodes: given once, carried out at least once, acknowledged.
"""

import enum
import re
from collections.abc import Container, Iterable, Iterator

import attrs

from eliop2p.base.errors import ElioError
from eliop2p.control.fields import MAX_INTEGER, BadMessage, Fields, read_chunk_id
from eliop2p.control.messages import is_node_id
from eliop2p.control.policy import PREFIX_REMEDY, is_prefix
from eliop2p.model.chunk import ChunkId

MAX_CHUNKS = 256
"""
Chunks in one command.
"""

MAX_WAITING = 1000
"""
Commands that wait for one node.
"""

MAX_ENDED = 1000
"""
Commands that have ended and are still shown, of all nodes together.
"""

MAX_TOLD = 16
"""
Commands that a node is given at one time.
"""

_MAX_LENGTH = 1 << 30
_MAX_DETAIL = 500
_COMMAND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ID_REMEDY = "send 1 to 64 letters, digits, dots, dashes and underscores"


class Kind(enum.Enum):
    """
    What a node can be told to do.
    """

    REPLICATE = "replicate"
    EVICT = "evict"
    MIGRATE = "migrate"


class State(enum.Enum):
    """
    What has become of a command.
    """

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@attrs.frozen
class ChunkRef:
    """
    A chunk that a command is about.

    Attributes:
        chunk_id: Which one.
        length: Its length in bytes.
    """

    chunk_id: ChunkId
    length: int

    def to_json(self) -> dict[str, object]:
        """
        Write it.
        """
        return {"chunk_id": self.chunk_id.hex(), "length": self.length}


def _chunk_from_json(value: object, path: str) -> ChunkRef:
    fields = Fields(value, path)
    name = fields.text("chunk_id", lambda text: len(text) == 64, "send 64 digits")
    return ChunkRef(
        read_chunk_id(name, f"{path}.chunk_id"),
        fields.integer("length", 1, _MAX_LENGTH),
    )


@attrs.frozen
class Order:
    """
    A command.

    Attributes:
        command_id: Who gives it twice means the same one.
        kind: What is to be done.
        chunks: With which chunks.
        prefix: Below which ``s3://bucket/prefix`` the chunks' objects are: who is to
            hold chunks is to remember what they are chunks of; empty for unknown.
        to: Who takes the chunks over, with a migration: the node itself lets go of each
            that the other holds.
    """

    command_id: str
    kind: Kind
    chunks: tuple[ChunkRef, ...]
    to: str = ""
    prefix: str = ""

    def to_json(self) -> dict[str, object]:
        """
        Write it for the node that is to carry it out.
        """
        message: dict[str, object] = {
            "id": self.command_id,
            "kind": self.kind.value,
            "chunks": [chunk.to_json() for chunk in self.chunks],
        }
        if self.to:
            message["to"] = self.to
        if self.prefix:
            message["prefix"] = self.prefix
        return message


def is_command_id(text: str) -> bool:
    """
    Tell whether a text may name a command.
    """
    return _COMMAND_ID.fullmatch(text) is not None and text not in {".", ".."}


def _is_kind(text: str) -> bool:
    return text in {kind.value for kind in Kind}


def order_from_json(value: object, where: str = "") -> Order:
    """
    Read a command.

    Raises:
        BadMessage: A field is missing or out of bounds.
    """
    fields = Fields(value, where)
    words = ", ".join(kind.value for kind in Kind)
    kind = Kind(fields.text("kind", _is_kind, f"send one of {words}"))
    command_id = fields.text("id", is_command_id, _ID_REMEDY)
    chunks = fields.items("chunks", MAX_CHUNKS, _chunk_from_json)
    if not chunks:
        raise BadMessage("chunks", "", "name at least one chunk")
    to = ""
    if kind is Kind.MIGRATE:
        to = fields.text("to", is_node_id, "name the node that takes them over")
    prefix = fields.text("prefix", is_prefix, PREFIX_REMEDY, default="")
    return Order(command_id, kind, chunks, to, prefix)


@attrs.frozen
class Outcome:
    """
    What a node says of a command that it has carried out.

    Attributes:
        state: ``done`` or ``failed``.
        bytes: How much was moved or dropped.
        detail: Why it failed, or empty.
    """

    state: State
    bytes: int = 0
    detail: str = ""

    def to_json(self) -> dict[str, object]:
        """
        Write the message.
        """
        return {"state": self.state.value, "bytes": self.bytes, "detail": self.detail}

    @classmethod
    def from_json(cls, value: object) -> "Outcome":
        """
        Read the message.

        Raises:
            BadMessage: A field is missing or out of bounds.
        """
        fields = Fields(value)
        ends = (State.DONE.value, State.FAILED.value)
        state = fields.text("state", lambda text: text in ends, "send done or failed")
        detail = fields.text(
            "detail",
            lambda text: len(text) <= _MAX_DETAIL and text.isprintable(),
            f"send up to {_MAX_DETAIL} printable characters",
            default="",
        )
        return cls(
            State(state), fields.integer("bytes", 0, MAX_INTEGER, default=0), detail
        )


class OrdersFull(ElioError):
    """
    A node has as many commands waiting as it may.
    """


class OrderConflict(ElioError):
    """
    There is another command of the same name.
    """


class UnknownOrder(ElioError):
    """
    There is no such command.
    """


@attrs.define
class Standing:
    """
    A command and what has become of it.

    Attributes:
        node_id: Whom it is for.
        order: The command.
        given_at: When it came, in seconds since 1970.
        outcome: What the node said; waiting before that.
    """

    node_id: str
    order: Order
    given_at: float
    outcome: Outcome = Outcome(State.WAITING)

    def to_json(self) -> dict[str, object]:
        """
        Describe it for operators.
        """
        named = {"node_id": self.node_id, "given_at": self.given_at}
        return self.order.to_json() | named | self.outcome.to_json()


class OrderBook:
    """
    The commands of every node, in the order in which they came.

    Args:
        max_waiting: How many may wait for one node.
        max_ended: How many that have ended are kept.

    Attributes:
        changed: Names of nodes and commands of what is to be written down.
    """

    def __init__(
        self, max_waiting: int = MAX_WAITING, max_ended: int = MAX_ENDED
    ) -> None:
        self.changed: dict[tuple[str, str], None] = {}
        self._max_waiting = max_waiting
        self._max_ended = max_ended
        self._waiting: dict[str, dict[str, Standing]] = {}
        self._ended: dict[tuple[str, str], Standing] = {}

    def restore(self, standings: Iterable[Standing], nodes: Container[str]) -> None:
        """
        Take the commands of an earlier run, in their order; nothing waits for nodes
        that are not known any more.
        """
        for each in standings:
            name = (each.node_id, each.order.command_id)
            if each.outcome.state is not State.WAITING:
                self._ended[name] = each
            elif each.node_id in nodes:
                self._waiting.setdefault(each.node_id, {})[name[1]] = each
            else:
                self.changed[name] = None

    def count(self, node_id: str) -> int:
        """
        Tell how many commands wait for a node.
        """
        return len(self._waiting.get(node_id, ()))

    def give(self, node_id: str, order: Order, now: float) -> Standing:
        """
        Take a command in. The same one again changes nothing.

        Raises:
            OrderConflict: Another one has its name.
            OrdersFull: Too many wait.
        """
        known = self.find(node_id, order.command_id)
        if known is not None:
            if known.order != order:
                raise OrderConflict(order.command_id)
            if known.outcome.state is not State.FAILED:
                return known
            del self._ended[node_id, order.command_id]
        waiting = self._waiting.setdefault(node_id, {})
        if len(waiting) >= self._max_waiting:
            raise OrdersFull(f"{len(waiting)} commands wait for the node")
        standing = waiting[order.command_id] = Standing(node_id, order, now)
        self.changed[node_id, order.command_id] = None
        return standing

    def find(self, node_id: str, command_id: str) -> Standing | None:
        """
        Look a command up.
        """
        waiting = self._waiting.get(node_id, {}).get(command_id)
        return waiting or self._ended.get((node_id, command_id))

    def waiting(self, node_id: str) -> tuple[Order, ...]:
        """
        Give what a node is to do next, the oldest first, :data:`MAX_TOLD` at most.
        """
        standings = list(self._waiting.get(node_id, {}).values())
        return tuple(standing.order for standing in standings[:MAX_TOLD])

    def all(self) -> Iterator[Standing]:
        """
        Give every command that is known, those that have ended first.
        """
        yield from self._ended.values()
        for waiting in self._waiting.values():
            yield from waiting.values()

    def end(self, node_id: str, command_id: str, outcome: Outcome) -> Standing:
        """
        Take what a node says of a command; what it said first stands.

        Raises:
            UnknownOrder: There is none of the name.
        """
        standing = self.find(node_id, command_id)
        if standing is None:
            raise UnknownOrder(command_id)
        waiting = self._waiting.get(node_id, {})
        if waiting.pop(command_id, None) is not None:
            standing.outcome = outcome
            self._ended[node_id, command_id] = standing
            self.changed[node_id, command_id] = None
            while len(self._ended) > self._max_ended:
                oldest = next(iter(self._ended))
                del self._ended[oldest]
                self.changed[oldest] = None
        if not waiting:
            self._waiting.pop(node_id, None)
        return standing

    def drop(self, node_id: str) -> None:
        """
        Forget what a node was to do: it is gone.
        """
        for command_id in self._waiting.pop(node_id, {}):
            self.changed[node_id, command_id] = None
