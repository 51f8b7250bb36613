"""
Reads whose bytes nobody wants: the node gets an object, and says how far it is.

A client that sends ``X-Elio-Preheat`` with a GET gets, in the place of the object's
bytes, one byte for each MiB of them that the node has, and one for the rest. So the
answer has a length, shows progress, breaks off when the object does, and ends the read
when the client closes the connection.
"""

from collections.abc import Sequence

from eliop2p.base.errors import BadRequest
from eliop2p.http1.message import Header, ResponseHead
from eliop2p.model.chunk import MIB
from eliop2p.model.ranges import parse_decimal
from eliop2p.model.span import Span

PREHEAT = b"x-elio-preheat"
"""
The request's header, whatever its value; in the answer, how many bytes are read.
"""

_KEPT = (b"date", b"etag", b"last-modified", b"server")


class Progress:
    """
    Turns one answer into the tale of it.
    """

    def __init__(self) -> None:
        self._size = self._done = self._told = 0
        self._off = False

    def begin(self, head: ResponseHead, added: Sequence[Header]) -> ResponseHead:
        """
        Take the head of the answer, and give that which is sent. One that is not the
        object's is sent as it is, and so is its body.

        Raises:
            BadRequest: The answer is the object's, and is not to be kept.
        """
        if head.status not in (200, 206):
            self._off = True
            return head
        size = parse_decimal(head.get(b"content-length") or b"")
        if size is None or (size and (b"X-Cache", b"BYPASS") in added):
            raise BadRequest("the store's answer is not to be kept: nothing to preheat")
        self._size = size
        length = b"%d" % -(-size // MIB)
        kept = tuple(each for each in head.headers if each[0].lower() in _KEPT)
        own = ((b"Content-Length", length), (b"X-Elio-Preheat", b"%d" % size))
        return ResponseHead(200, b"OK", (*kept, *own))

    def passed(self, span: Span) -> Span:
        """
        Take bytes of the body, and give what is sent in their place.
        """
        if self._off:
            return span
        self._done += len(span)
        dots = self._done // MIB if self._done < self._size else -(-self._size // MIB)
        told, self._told = self._told, dots
        return memoryview(b"." * (dots - told))
