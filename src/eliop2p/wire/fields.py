"""
How the values of a message are written: big-endian, with every length checked first.

Each function makes the field for one kind of value. A field knows the most bytes that
it takes, so that the limit of a frame follows from its table.
"""

from collections.abc import Callable
from enum import IntEnum

import attrs

from eliop2p.base.errors import LocalProtocolError, RemoteProtocolError


class Reader:
    """
    The payload of one frame, taken from front to end.
    """

    def __init__(self, payload: memoryview | bytes) -> None:
        self._payload = memoryview(payload)
        self._position = 0

    def take(self, size: int) -> bytes:
        """
        Give the next bytes.

        Raises:
            RemoteProtocolError: There are fewer.
        """
        stop = self._position + size
        if stop > len(self._payload):
            raise RemoteProtocolError("a frame ends within a field")
        taken = bytes(self._payload[self._position : stop])
        self._position = stop
        return taken

    def number(self, size: int) -> int:
        """
        Give the next bytes as an unsigned number.
        """
        return int.from_bytes(self.take(size), "big")

    def finish(self) -> None:
        """
        Check that nothing is left.

        Raises:
            RemoteProtocolError: There are bytes that belong to no field.
        """
        extra = len(self._payload) - self._position
        if extra:
            raise RemoteProtocolError(f"{extra} bytes after the last field of a frame")


@attrs.frozen
class Field:
    """
    Writes and reads one kind of value.

    Attributes:
        name: What the documentation calls the encoding.
        maximum: The most bytes that a value takes.
        write: Encodes a value; LocalProtocolError when it does not fit.
        read: Decodes a value; RemoteProtocolError when there is none.
    """

    name: str
    maximum: int
    write: Callable[[object], bytes]
    read: Callable[[Reader], object]


def number(size: int, least: int = 0) -> Field:
    """
    An unsigned number of so many bytes.
    """
    name = f"u{8 * size}" + (f", at least {least}" if least else "")

    def write(value: object) -> bytes:
        if not isinstance(value, int) or not least <= value < 1 << 8 * size:
            raise LocalProtocolError(f"{value!r} is not {name}")
        return value.to_bytes(size, "big")

    def read(reader: Reader) -> int:
        value = reader.number(size)
        if value < least:
            raise RemoteProtocolError(f"{value} is not {name}")
        return value

    return Field(name, size, write, read)


def flag() -> Field:
    """
    Yes or no in one byte.
    """

    def write(value: object) -> bytes:
        return b"\1" if value else b"\0"

    def read(reader: Reader) -> bool:
        value = reader.number(1)
        if value > 1:
            raise RemoteProtocolError(f"{value} is not a flag")
        return value == 1

    return Field("u8, 0 or 1", 1, write, read)


def choice(names: type[IntEnum]) -> Field:
    """
    One entry of an enumeration, in one byte.
    """

    def write(value: object) -> bytes:
        if not isinstance(value, names):
            raise LocalProtocolError(f"{value!r} is no {names.__name__}")
        return value.to_bytes(1, "big")

    def read(reader: Reader) -> IntEnum:
        value = reader.number(1)
        try:
            return names(value)
        except ValueError:
            raise RemoteProtocolError(f"{value} is no {names.__name__}") from None

    shown = ", ".join(f"{entry.value} {entry.name}" for entry in names)
    return Field(f"u8: {shown}", 1, write, read)


def fixed(size: int) -> Field:
    """
    Exactly so many bytes.
    """

    def write(value: object) -> bytes:
        if not isinstance(value, bytes) or len(value) != size:
            raise LocalProtocolError(f"a field takes {size} bytes")
        return value

    return Field(f"{size} bytes", size, write, lambda reader: reader.take(size))


def optional(size: int) -> Field:
    """
    So many bytes or none, after their length in one byte.
    """

    def write(value: object) -> bytes:
        if not isinstance(value, bytes) or len(value) not in {0, size}:
            raise LocalProtocolError(f"a field takes 0 or {size} bytes")
        return len(value).to_bytes(1, "big") + value

    def read(reader: Reader) -> bytes:
        length = reader.number(1)
        if length not in {0, size}:
            raise RemoteProtocolError(f"{length} bytes instead of 0 or {size}")
        return reader.take(length)

    return Field(f"u8 length (0 or {size}), bytes", 1 + size, write, read)


def name() -> Field:
    """
    A node id: printable, as it ends up in logs, and not empty.
    """

    def write(value: object) -> bytes:
        text = value.encode() if isinstance(value, str) and value.isprintable() else b""
        if not 0 < len(text) < 256:
            raise LocalProtocolError(f"{value!r} is not a node id")
        return len(text).to_bytes(1, "big") + text

    def read(reader: Reader) -> str:
        text = reader.take(reader.number(1))
        try:
            value = text.decode()
        except UnicodeDecodeError:
            raise RemoteProtocolError("a node id is not UTF-8") from None
        if not value or not value.isprintable():
            raise RemoteProtocolError("a node id is empty or not printable")
        return value

    return Field("u8 length (1 to 255), printable UTF-8", 256, write, read)


def blob(most: int) -> Field:
    """
    At most so many bytes, after their length in four bytes.
    """

    def write(value: object) -> bytes:
        if not isinstance(value, bytes) or len(value) > most:
            raise LocalProtocolError(f"a field takes at most {most} bytes")
        return len(value).to_bytes(4, "big") + value

    def read(reader: Reader) -> bytes:
        length = reader.number(4)
        if length > most:
            raise RemoteProtocolError(f"a field of {length} bytes")
        return reader.take(length)

    return Field(f"u32 length (at most {most}), bytes", 4 + most, write, read)


def label(most: int) -> Field:
    """
    A printable text, which may be empty.
    """

    def write(value: object) -> bytes:
        data = value.encode() if isinstance(value, str) else None
        if data is None or len(data) > most:
            raise LocalProtocolError(f"a field takes a text of at most {most} bytes")
        return len(data).to_bytes(1, "big") + data

    def read(reader: Reader) -> str:
        data = reader.take(reader.number(1))
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise RemoteProtocolError("a text that is not UTF-8") from None
        if len(data) > most or not text.isprintable():
            raise RemoteProtocolError("a text that cannot be shown")
        return text

    return Field(f"u8 length (at most {most}), UTF-8", 1 + most, write, read)


def thousandths() -> Field:
    """
    A positive number to three places.
    """
    whole = number(4, least=1)

    def write(value: object) -> bytes:
        if not isinstance(value, int | float):
            raise LocalProtocolError(f"{value!r} is no number")
        return whole.write(round(value * 1000))

    def read(reader: Reader) -> float:
        thousand = whole.read(reader)
        assert isinstance(thousand, int)
        return thousand / 1000

    return Field(f"{whole.name}, thousandths", 4, write, read)


def several(item: Field, most: int) -> Field:
    """
    At most so many values of one kind, after their count in two bytes.
    """

    def write(value: object) -> bytes:
        if not isinstance(value, tuple) or len(value) > most:
            raise LocalProtocolError(f"a field takes a tuple of at most {most}")
        items = [item.write(entry) for entry in value]
        return b"".join([len(value).to_bytes(2, "big"), *items])

    def read(reader: Reader) -> tuple[object, ...]:
        count = reader.number(2)
        if count > most:
            raise RemoteProtocolError(f"a list of {count}, with {most} allowed")
        return tuple([item.read(reader) for _ in range(count)])

    title = f"u16 count (at most {most}), each: {item.name}"
    return Field(title, 2 + most * item.maximum, write, read)


def pair(first: Field, second: Field) -> Field:
    """
    A tuple of two values.
    """

    def write(value: object) -> bytes:
        if not isinstance(value, tuple) or len(value) != 2:
            raise LocalProtocolError("a field takes a pair")
        return first.write(value[0]) + second.write(value[1])

    def read(reader: Reader) -> tuple[object, object]:
        return first.read(reader), second.read(reader)

    title = f"({first.name}; {second.name})"
    return Field(title, first.maximum + second.maximum, write, read)


def record(make: Callable[..., object], *parts: tuple[str, Field]) -> Field:
    """
    The attributes of an object, by name and in this order.
    """

    def write(value: object) -> bytes:
        return b"".join([part.write(getattr(value, name)) for name, part in parts])

    def read(reader: Reader) -> object:
        return make(*[part.read(reader) for _, part in parts])

    shown = "; ".join(f"{name}: {part.name}" for name, part in parts)
    return Field(f"({shown})", sum(part.maximum for _, part in parts), write, read)
