"""
The control plane's messages: values here, JSON between machines.
"""

import re

import attrs

from eliop2p.control.fields import (
    MAX_INTEGER,
    REQUIRED,
    BadMessage,
    Fields,
    read_chunk_id,
    read_text,
)
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import PeerInfo

MAX_NODES = 10_000
"""
Nodes in one cluster.
"""

MAX_REPORTED = 10_000
"""
Chunks in one report, those held and those gone together.
"""

MAX_QUERIED = 1000
"""
Chunks in one query of locations.
"""

MAX_HOLDERS_TOLD = 16
"""
Nodes named for one chunk in the answer to such a query.
"""

MAX_WEIGHT = 1_000_000.0

_MAX_TEXT = 255
_MAX_REMARK = 1000
_HOST = re.compile(r"[A-Za-z0-9_.:%-]{1,253}")


def is_node_id(text: str) -> bool:
    """
    Tell whether a text may name a node; a path segment of dots never reaches a server.
    """
    return 0 < len(text) <= _MAX_TEXT and text.isprintable() and text not in {".", ".."}


def _is_label(text: str) -> bool:
    return len(text) <= _MAX_TEXT and text.isprintable()


def _is_remark(text: str) -> bool:
    return len(text) <= _MAX_REMARK


def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


NODE_ID_REMEDY = f"send a name of 1 to {_MAX_TEXT} printable characters"


def read_node_id(value: object, path: str) -> str:
    """
    Read the name of a node.

    Raises:
        BadMessage: It is something else.
    """
    return read_text(value, path, is_node_id, NODE_ID_REMEDY)


def node_to_json(node: PeerInfo) -> dict[str, object]:
    """
    Write what members know of a node.
    """
    return attrs.asdict(node)


def node_from_json(value: object, where: str = "") -> PeerInfo:
    """
    Read what members know of a node.

    Args:
        value: The JSON object.
        where: Its path in the message, for errors.

    Raises:
        BadMessage: A field is missing or out of bounds.
    """
    fields = Fields(value, where)
    return PeerInfo(
        node_id=fields.text("node_id", is_node_id, NODE_ID_REMEDY),
        host=fields.text("host", _is_host, "send a host name or an IP address"),
        port=fields.integer("port", 1, 65535),
        proxy_port=fields.integer("proxy_port", 0, 65535, default=0),
        zone=fields.text(
            "zone",
            _is_label,
            f"send up to {_MAX_TEXT} printable characters",
            default="",
        ),
        weight=fields.number("weight", MAX_WEIGHT, default=1.0),
    )


@attrs.frozen
class Heartbeat:
    """
    A node's sign of life.

    Attributes:
        memory_used: Bytes in its memory tier.
        disk_used: Bytes in its disk tier.
        chunks: Chunks in either tier.
        uploads: Uploads to peers under way.
        membership_version: The version of the membership that it has.
        memory_capacity: Bytes that its memory tier may hold.
        disk_capacity: Bytes that its disk tier may hold.
    """

    memory_used: int
    disk_used: int
    chunks: int
    uploads: int
    membership_version: int
    memory_capacity: int = 0
    disk_capacity: int = 0

    def to_json(self) -> dict[str, object]:
        """
        Write the message.
        """
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, value: object) -> "Heartbeat":
        """
        Read the message.

        Raises:
            BadMessage: A field is missing or out of bounds.
        """
        fields = Fields(value)
        return cls(
            *(
                fields.integer(
                    part.name,
                    0,
                    MAX_INTEGER,
                    REQUIRED if part.default is attrs.NOTHING else part.default,
                )
                for part in attrs.fields(cls)
            )
        )


@attrs.frozen
class ChunkReport:
    """
    What has changed in a node's cache.

    Attributes:
        held: Chunks that it has come to hold.
        gone: Chunks that it has let go of.
    """

    held: tuple[ChunkId, ...]
    gone: tuple[ChunkId, ...]

    def to_json(self) -> dict[str, object]:
        """
        Write the message.
        """
        return {
            "held": [chunk_id.hex() for chunk_id in self.held],
            "gone": [chunk_id.hex() for chunk_id in self.gone],
        }

    @classmethod
    def from_json(cls, value: object) -> "ChunkReport":
        """
        Read the message.

        Raises:
            BadMessage: A field is missing or out of bounds.
        """
        fields = Fields(value)
        held = fields.items("held", MAX_REPORTED, read_chunk_id, default=())
        gone = fields.items("gone", MAX_REPORTED, read_chunk_id, default=())
        if not fields.has("held") and not fields.has("gone"):
            raise BadMessage("held", "", "held or gone is required")
        if len(held) + len(gone) > MAX_REPORTED:
            remedy = f"send up to {MAX_REPORTED} chunks, held and gone together"
            raise BadMessage("held", f"{len(held)} + {len(gone)}", remedy)
        return cls(held, gone)


@attrs.frozen
class LocationsQuery:
    """
    The question where chunks are.

    Attributes:
        chunk_ids: Which chunks.
    """

    chunk_ids: tuple[ChunkId, ...]

    def to_json(self) -> dict[str, object]:
        """
        Write the message.
        """
        return {"chunk_ids": [chunk_id.hex() for chunk_id in self.chunk_ids]}

    @classmethod
    def from_json(cls, value: object) -> "LocationsQuery":
        """
        Read the message.

        Raises:
            BadMessage: A field is missing or out of bounds.
        """
        return cls(Fields(value).items("chunk_ids", MAX_QUERIED, read_chunk_id))


@attrs.frozen
class Location:
    """
    Where one chunk is.

    Attributes:
        holders: How many nodes hold it.
        nodes: Up to :data:`MAX_HOLDERS_TOLD` of them, latest first.
    """

    holders: int
    nodes: tuple[str, ...]


def _location_from_json(value: object, path: str) -> Location:
    fields = Fields(value, path)
    return Location(
        holders=fields.integer("holders", 0, MAX_NODES),
        nodes=fields.items("nodes", MAX_HOLDERS_TOLD, read_node_id),
    )


@attrs.frozen
class LocationsAnswer:
    """
    Where chunks are.

    Attributes:
        locations: By chunk, every one that was asked for.
    """

    locations: dict[ChunkId, Location]

    def to_json(self) -> dict[str, object]:
        """
        Write the message.
        """
        return {
            "locations": {
                chunk_id.hex(): {"holders": place.holders, "nodes": list(place.nodes)}
                for chunk_id, place in self.locations.items()
            }
        }

    @classmethod
    def from_json(cls, value: object) -> "LocationsAnswer":
        """
        Read the message.

        Raises:
            BadMessage: A field is missing or out of bounds.
        """
        found = Fields(value).mapping("locations", MAX_QUERIED, _location_from_json)
        return cls(
            {read_chunk_id(name, "locations"): place for name, place in found.items()}
        )


@attrs.frozen
class ReportAnswer:
    """
    The answer to a report of chunks.

    Attributes:
        locations: How many locations of the node are known now.
        ignored: How many of the held chunks found no room in the table.
    """

    locations: int
    ignored: int

    def to_json(self) -> dict[str, object]:
        """
        Write the message.
        """
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, value: object) -> "ReportAnswer":
        """
        Read the message.

        Raises:
            BadMessage: A field is missing or out of bounds.
        """
        fields = Fields(value)
        return cls(
            locations=fields.integer("locations", 0, MAX_INTEGER),
            ignored=fields.integer("ignored", 0, MAX_REPORTED),
        )


def error_to_json(field: str, value: str, remedy: str) -> dict[str, object]:
    """
    Write what is wrong with a request.

    Args:
        field: Which part of it, empty for the request as a whole.
        value: What was there, shortened.
        remedy: What would be right.
    """
    return {"error": {"field": field, "value": value, "remedy": remedy}}


def error_from_json(value: object) -> BadMessage:
    """
    Read what is wrong with a request.

    Raises:
        BadMessage: It is no such message.
    """
    fields = Fields(value).inner("error")
    return BadMessage(
        *(
            fields.text(name, _is_remark, f"send up to {_MAX_REMARK} characters")
            for name in ("field", "value", "remedy")
        )
    )
