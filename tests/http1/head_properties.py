"""
What holds of the codec whatever comes: for Hypothesis, and for a fuzzer.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.http1.framing import (
    NO_BODY,
    BodyScanner,
    Framing,
    body_scanner,
    keep_alive,
    request_framing,
    response_framing,
)
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.http1.parse import MAX_HEAD, RequestReader, ResponseReader
from eliop2p.http1.signature import signed_headers, usable_until
from eliop2p.http1.target import host_of, parse_absolute

Head = RequestHead | ResponseHead
Reader = RequestReader | ResponseReader

MAX_LINE = 16 * 1024
"""
More than a line within a body may be long, in bytes.
"""


class Stream:
    """
    Reads messages one after the other, as a connection does.

    Attributes:
        messages: Heads, each with the body that came, and whether it came to its end.
        refused: Whether something was not HTTP.
    """

    def __init__(self, reader: Reader, framing: Callable[[Head], Framing]) -> None:
        self.messages: list[tuple[Head, bytes, bool]] = []
        self.refused = False
        self._reader = reader
        self._framing = framing
        self._scanner: BodyScanner | None = None

    def feed(self, data: bytes) -> None:
        """
        Take bytes.
        """
        try:
            while data and not self.refused:
                data = self._body(data) if self._scanner else self._head(data)
        except RemoteProtocolError:
            self.refused = True
        self._check_bounds(len(data))

    def outcome(self) -> tuple[list[tuple[Head, bytes | None, bool]], bool]:
        """
        Give what must not depend on how the bytes were cut: all but how much of a body
        was passed on before what followed was refused.
        """
        kept = [
            (head, body if whole else None, whole)
            for head, body, whole in self.messages
        ]
        return kept, self.refused

    def _head(self, data: bytes) -> bytes:
        head = self._reader.feed(data)
        if head is None:
            return b""
        framing = self._framing(head)
        self.messages.append((head, b"", framing == NO_BODY))
        if framing != NO_BODY:
            self._scanner = body_scanner(framing)
        return self._reader.take_rest()

    def _body(self, data: bytes) -> bytes:
        assert self._scanner is not None
        used = self._scanner.scan(data)
        head, body, _ = self.messages[-1]
        self.messages[-1] = (head, body + data[:used], self._scanner.ended)
        if self._scanner.ended:
            self._scanner = None
        return data[used:]

    def _check_bounds(self, fed: int) -> None:
        held = [*vars(self._reader).values()]
        if self._scanner is not None:
            held += vars(self._scanner).values()
        sizes = [len(each) for each in held if isinstance(each, bytes | bytearray)]
        assert max(sizes, default=0) <= max(MAX_HEAD, MAX_LINE) + fed


def _of_response(head: Head) -> Framing:
    assert isinstance(head, ResponseHead)
    return response_framing(head, b"GET")


def _of_request(head: Head) -> Framing:
    assert isinstance(head, RequestHead)
    return request_framing(head)


def _read(reader: Reader, parts: Iterable[bytes]) -> Stream:
    is_request = isinstance(reader, RequestReader)
    stream = Stream(reader, _of_request if is_request else _of_response)
    for part in parts:
        stream.feed(part)
    return stream


def _check_head(head: Head) -> None:
    """
    Demand that a head that was taken is read the same way by whoever is next.
    """
    if isinstance(head, ResponseHead):
        assert ResponseReader().feed(head.serialize()) == head
        keep_alive(head)
        return
    again = RequestReader().feed(head.serialize())
    assert again == head
    assert request_framing(again) == request_framing(head)
    keep_alive(head)
    signed_headers(head)
    usable_until(head, 0.0)
    for judge in (host_of, lambda each: parse_absolute(each.target)):
        try:
            judge(head)
        except RemoteProtocolError:
            continue


def check(data: bytes, cuts: Sequence[int]) -> bool:
    """
    Demand all that must hold of some bytes, as requests and as responses.

    Args:
        data: What comes.
        cuts: Where it is cut, once.

    Returns:
        Whether there was a message in it.

    Raises:
        AssertionError: It does not hold.
    """
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    parts = [data[a:b] for a, b in pairwise(bounds)]
    found = False
    for make in (RequestReader, ResponseReader):
        whole, cut = _read(make(), [data]), _read(make(), parts)
        assert whole.outcome() == cut.outcome(), (data, bounds)
        for head, _, _ in whole.messages:
            _check_head(head)
        found |= bool(whole.messages)
    return found
