"""
JSON objects from elsewhere, read field by field with bounds on everything.
"""

import json
from collections.abc import Callable
from typing import Final, TypeVar

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.model.chunk import ChunkId

MAX_INTEGER = 2**53 - 1
"""
The largest whole number that every reader of JSON keeps exact.
"""

_SHOWN = 80
_T = TypeVar("_T")


class BadMessage(RemoteProtocolError):
    """
    A message breaks its rules.

    Attributes:
        field: Which part of it, as a path; empty for the message as a whole.
        value: What was there, cut to a few words.
        remedy: What would be right.
    """

    def __init__(self, field: str, value: str, remedy: str) -> None:
        super().__init__(f"{field or 'the body'}: {remedy}")
        self.field = field
        self.value = value
        self.remedy = remedy


def shown(value: object) -> str:
    """
    Describe a JSON value in at most a few words, for people.
    """
    if isinstance(value, str):
        return value[:_SHOWN]
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return json.dumps(value)[:_SHOWN]


def encode(value: object) -> bytes:
    """
    Write JSON, the same bytes for the same value.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def decode(data: bytes) -> object:
    """
    Read JSON.

    Raises:
        BadMessage: It is something else.
    """
    try:
        value: object = json.loads(
            data.decode("utf-8"), parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        raise BadMessage("", "", "send one JSON object in UTF-8") from None
    return value


class Missing:
    """
    Stands for a default that does not exist.
    """


REQUIRED: Final = Missing()


class Fields:
    """
    One JSON object; each method reads one field or raises :class:`BadMessage`.

    A field whose method is given no default must be there. Fields that nobody reads
    are ignored.
    """

    def __init__(self, value: object, where: str = "") -> None:
        if not isinstance(value, dict):
            raise BadMessage(where, shown(value), "send a JSON object")
        self._fields: dict[str, object] = value
        self._prefix = f"{where}." if where else ""

    def _read(
        self, name: str, default: _T | Missing, read: Callable[[object, str], _T]
    ) -> _T:
        path = self._prefix + name
        if name in self._fields:
            return read(self._fields[name], path)
        if isinstance(default, Missing):
            raise BadMessage(path, "", "the field is required")
        return default

    def has(self, name: str) -> bool:
        """
        Tell whether a field is there.
        """
        return name in self._fields

    def raw(self, name: str) -> object:
        """
        Give a field as it is.
        """
        return self._read(name, REQUIRED, lambda value, _: value)

    def inner(self, name: str) -> "Fields":
        """
        Read an object with fields of its own.
        """
        return self._read(name, REQUIRED, Fields)

    def integer(
        self, name: str, low: int, high: int, default: int | Missing = REQUIRED
    ) -> int:
        """
        Read a whole number from low to high.
        """

        def read(value: object, path: str) -> int:
            if (
                isinstance(value, bool)
                or not isinstance(value, int)
                or not low <= value <= high
            ):
                remedy = f"send a whole number from {low} to {high}"
                raise BadMessage(path, shown(value), remedy)
            return value

        return self._read(name, default, read)

    def flag(self, name: str, *, default: bool) -> bool:
        """
        Read true or false.
        """

        def read(value: object, path: str) -> bool:
            if not isinstance(value, bool):
                raise BadMessage(path, shown(value), "send true or false")
            return value

        return self._read(name, default, read)

    def number(
        self, name: str, high: float, default: float | Missing = REQUIRED
    ) -> float:
        """
        Read a number above 0 and up to high.
        """

        def read(value: object, path: str) -> float:
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 < value <= high
            ):
                remedy = f"send a number above 0 and up to {high:g}"
                raise BadMessage(path, shown(value), remedy)
            return float(value)

        return self._read(name, default, read)

    def text(
        self,
        name: str,
        right: Callable[[str], bool],
        remedy: str,
        default: str | Missing = REQUIRED,
    ) -> str:
        """
        Read a text.

        Args:
            name: The field.
            right: Tells whether the text may be used.
            remedy: What would be right.
            default: The text when the field is absent.
        """

        def read(value: object, path: str) -> str:
            return read_text(value, path, right, remedy)

        return self._read(name, default, read)

    def items(
        self,
        name: str,
        limit: int,
        read_item: Callable[[object, str], _T],
        default: tuple[_T, ...] | Missing = REQUIRED,
    ) -> tuple[_T, ...]:
        """
        Read a list of up to limit items.

        Args:
            name: The field.
            limit: How many items there may be.
            read_item: Reads an item, told its path.
            default: The items when the field is absent.
        """

        def read(value: object, path: str) -> tuple[_T, ...]:
            if not isinstance(value, list) or len(value) > limit:
                remedy = f"send a list of up to {limit}"
                raise BadMessage(path, shown(value), remedy)
            return tuple(
                read_item(item, f"{path}[{index}]") for index, item in enumerate(value)
            )

        return self._read(name, default, read)

    def mapping(
        self,
        name: str,
        limit: int,
        read_item: Callable[[object, str], _T],
    ) -> dict[str, _T]:
        """
        Read an object of up to limit entries whose names are not known beforehand.

        Args:
            name: The field.
            limit: How many entries there may be.
            read_item: Reads the value of an entry, told its path.
        """

        def read(value: object, path: str) -> dict[str, _T]:
            if not isinstance(value, dict) or len(value) > limit:
                remedy = f"send an object of up to {limit} entries"
                raise BadMessage(path, shown(value), remedy)
            return {
                key: read_item(item, f"{path}.{shown(key)}")
                for key, item in value.items()
            }

        return self._read(name, REQUIRED, read)


def read_text(
    value: object, path: str, right: Callable[[str], bool], remedy: str
) -> str:
    """
    Read a text that passes a test.

    Raises:
        BadMessage: It is something else or does not.
    """
    if not isinstance(value, str) or not right(value):
        raise BadMessage(path, shown(value), remedy)
    return value


def read_chunk_id(value: object, path: str) -> ChunkId:
    """
    Read the name of a chunk: 64 hexadecimal digits.

    Raises:
        BadMessage: It is something else.
    """
    if isinstance(value, str) and len(value) == 64:
        try:
            name = bytes.fromhex(value)
        except ValueError:
            name = b""
        if len(name) == 32:  # Spaces between digits make it shorter.
            return ChunkId(name)
    raise BadMessage(path, shown(value), "send a chunk id of 64 hexadecimal digits")
