"""
An object store in memory that speaks HTTP, tells lies when asked to, and counts.
"""

import hashlib
from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IAddress, IPullProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from zope.interface import implementer

from eliop2p.base.errors import RemoteProtocolError
from eliop2p.http1.dates import http_date, parse_http_date
from eliop2p.http1.framing import BodyScanner, body_scanner, request_framing
from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.http1.parse import RequestReader
from eliop2p.model.ranges import Interval, RangeSpec, content_range, parse_range
from eliop2p.testing.simfaults import NO_FAULT, Fault, distort
from eliop2p.testing.simtransport import SimTransport

PIECE = 8 * 1024
"""
Bytes of a body that are written at once, each piece after the one before has gone.
"""

_EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"

_REASONS = {
    200: b"OK",
    204: b"No Content",
    206: b"Partial Content",
    304: b"Not Modified",
    307: b"Temporary Redirect",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    412: b"Precondition Failed",
    416: b"Requested Range Not Satisfiable",
    500: b"Internal Server Error",
    503: b"Slow Down",
}
_CODES = {
    200: b"InternalError",
    206: b"InternalError",
    307: b"TemporaryRedirect",
    403: b"AccessDenied",
    404: b"NoSuchKey",
    405: b"MethodNotAllowed",
    412: b"PreconditionFailed",
    416: b"InvalidRange",
    500: b"InternalError",
    503: b"SlowDown",
}


@attrs.frozen
class StoredObject:
    """
    An object.

    Attributes:
        data: Its bytes.
        etag: The quoted MD5 of its bytes, as of an upload in one part.
        modified: Its Last-Modified.
    """

    data: bytes
    etag: bytes
    modified: bytes


@attrs.define(eq=False)
class Asked:
    """
    One request and what became of it.

    Attributes:
        head: The request.
        at: When it came, in seconds.
        fault: What is wrong with the answer.
        status: The answer's.
        payload: The body that was meant to be sent, in its framing.
        sent: How many bytes of a body were written.
    """

    head: RequestHead
    at: float
    fault: Fault = NO_FAULT
    status: int = 0
    payload: bytes = b""
    sent: int = 0

    def __str__(self) -> str:
        wanted = (self.head.get(b"range") or b"all").decode("latin-1")
        target = self.head.target.decode("latin-1")
        method = self.head.method.decode("latin-1")
        return f"{method} {target} {wanted} -> {self.status} sent {self.sent}"


class SimStore(Factory):
    """
    The store: objects by path, such as ``/bucket/key``.

    Each answer names its request's place in :attr:`log` as ``x-amz-request-id``.

    Attributes:
        choose: Says what is wrong with the answer to a request; may change the store.
        denied: Values of Authorization that are refused; ``b""`` for none at all.
        log: Every request, in order.
        sent: Bytes of objects that were written to connections.
    """

    noisy = False

    def __init__(self, clock: Clock) -> None:
        self.choose: Callable[[Asked], Fault] = lambda _: NO_FAULT
        self.denied: set[bytes] = set()
        self.log: list[Asked] = []
        self.sent = 0
        self._clock = clock
        self._objects: dict[bytes, StoredObject] = {}

    def put(self, path: bytes, data: bytes) -> None:
        """
        Put an object in the place of an earlier one.
        """
        etag = b'"%s"' % hashlib.md5(data, usedforsecurity=False).hexdigest().encode()
        modified = http_date(self._clock.seconds())
        self._objects[path] = StoredObject(data, etag, modified)

    def buildProtocol(self, addr: IAddress | None) -> "StoreConnection":  # noqa: ARG002
        """
        Take a connection.
        """
        return StoreConnection(self)

    def ask(self, head: RequestHead, body: bytes) -> tuple[Asked, ResponseHead]:
        """
        Answer a request.

        Returns:
            How it is noted, with the body, and the head of the answer.
        """
        asked = Asked(head, self._clock.seconds())
        number = len(self.log)
        self.log.append(asked)
        asked.fault = self.choose(asked)
        status, headers, payload = self._answer(head, body, asked.fault)
        asked.status = status
        named = ((b"x-amz-request-id", b"%d" % number), *headers)
        answer = ResponseHead(status, _REASONS[status], named)
        answer, asked.payload = distort(asked.fault, answer, payload)
        return asked, answer

    def _answer(
        self, head: RequestHead, body: bytes, fault: Fault
    ) -> tuple[int, tuple[Header, ...], bytes]:
        path = head.target.partition(b"?")[0]
        refused = (head.get(b"authorization") or b"") in self.denied
        if fault.status or refused:
            return _error(fault.status or 403)
        if head.method == b"PUT":
            self.put(path, body)
            etag = (b"ETag", self._objects[path].etag)
            return 200, (etag, (b"Content-Length", b"0")), b""
        found = self._objects.get(path)
        if head.method not in (b"GET", b"HEAD") or found is None:
            return _error(405 if found else 404)
        failed = 0 if fault.ignore_conditions else _precondition(head, found)
        if failed == 304:
            headers = ((b"ETag", found.etag), (b"Last-Modified", found.modified))
            return 304, headers, b""
        if failed:
            return _error(failed)
        return _content(head, found, fault)


def _error(status: int) -> tuple[int, tuple[Header, ...], bytes]:
    if status in (204, 304):
        return status, (), b""
    code = _CODES[status]
    text = b"<Error><Code>%s</Code><Message>Said by the store.</Message></Error>" % code
    headers = (
        (b"Content-Type", b"application/xml"),
        (b"Content-Length", b"%d" % len(text)),
    )
    return status, headers, text


def _names(etag: bytes, condition: bytes) -> bool:
    return condition.strip() in (etag, b"*", etag.strip(b'"'))


def _precondition(head: RequestHead, found: StoredObject) -> int:
    """
    Evaluate a request's conditions in the order of RFC 9110, section 13.2.2.

    Returns:
        The status of an answer without the object, or 0.
    """
    if_match, if_none = head.get(b"if-match"), head.get(b"if-none-match")
    since = parse_http_date(head.get(b"if-unmodified-since") or b"")
    modified = parse_http_date(found.modified) or 0.0
    if if_match is not None and not _names(found.etag, if_match):
        return 412
    if if_match is None and since is not None and modified > since:
        return 412
    return 304 if if_none is not None and _names(found.etag, if_none) else 0


def _content(
    head: RequestHead, found: StoredObject, fault: Fault
) -> tuple[int, tuple[Header, ...], bytes]:
    size, etag = len(found.data), fault.etag or found.etag
    common = (
        (b"Accept-Ranges", b"bytes"),
        (b"ETag", etag),
        (b"Last-Modified", found.modified),
        (b"Content-Type", b"application/octet-stream"),
    )
    spec = parse_range(head.get(b"range") or b"")
    if spec is None and fault.unasked:
        spec = RangeSpec(0, fault.unasked - 1)
    if spec is None or fault.ignore_range:
        length = (b"Content-Length", b"%d" % size)
        return 200, (length, *common), found.data
    part = spec.resolve(size)
    if part is None:
        return _error(416)
    shift = min(fault.shift, size - part.stop)
    part = Interval(part.start + shift, part.stop + shift)
    payload = found.data[part.start : part.stop] + bytes(fault.longer)
    move = fault.move
    said = Interval(part.start + move, part.stop + move)
    headers = (
        (b"Content-Length", b"%d" % len(payload)),
        (b"Content-Range", content_range(said, size + fault.total + move)),
        *common,
    )
    return 206, headers, payload


@implementer(IPullProducer)
class _Sending:
    """
    A body on its way out, as fast as the network takes it.
    """

    def __init__(self, store: SimStore, asked: Asked, over: Callable[[], None]) -> None:
        fault = asked.fault
        stops = (fault.truncate, fault.reset, fault.stall, len(asked.payload))
        stop = min(stop for stop in stops if stop is not None)
        self._body = asked.payload[:stop]
        if stop == len(asked.payload):
            self._body += b"?" * fault.pad
        self._store = store
        self._asked = asked
        self._over = over

    def write_to(self, transport: SimTransport) -> None:
        """
        Begin.
        """
        self._transport = transport
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """
        Write the next piece; all before it has gone.
        """
        if not self._body:
            self._transport.unregisterProducer()
            self._over()
            return
        piece, self._body = self._body[:PIECE], self._body[PIECE:]
        self._asked.sent += len(piece)
        if self._asked.status in (200, 206):
            self._store.sent += len(piece)
        self._transport.write(piece)

    def stopProducing(self) -> None:
        """
        The connection is gone.
        """
        self._body = b""


class StoreConnection(Protocol):
    """
    Answers the requests of one connection, one after the other.
    """

    transport: SimTransport

    def __init__(self, store: SimStore) -> None:
        self._store = store
        self._reader = RequestReader()
        self._head: RequestHead | None = None
        self._scanner = BodyScanner()
        self._body = b""
        self._answering = False
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Take bytes of requests.
        """
        self._rest += data
        try:
            while self._rest and not self._answering:
                self._read()
        except RemoteProtocolError:
            self.transport.abortConnection()

    def _read(self) -> None:
        data, self._rest = self._rest, b""
        if self._head is None:
            self._head = self._reader.feed(data)
            if self._head is None:
                return
            data = self._reader.take_rest()
            self._scanner = body_scanner(request_framing(self._head))
            self._body = b""
        used = self._scanner.scan(data)
        self._body += data[:used]
        self._rest = data[used:]
        if self._scanner.ended:
            head, self._head = self._head, None
            self._respond(head)

    def _respond(self, head: RequestHead) -> None:
        self._answering = True
        asked, answer = self._store.ask(head, self._body)
        fault = asked.fault
        if fault.raw:
            self.transport.write(fault.raw)
            self.transport.loseConnection()
            return
        self.transport.write(_EARLY * fault.interims + answer.serialize())
        if head.method == b"HEAD":
            asked.payload = b""
        sending = _Sending(self._store, asked, lambda: self._sent(asked.fault))
        sending.write_to(self.transport)

    def _sent(self, fault: Fault) -> None:
        if fault.stall is not None:
            return
        if fault.reset is not None:
            self.transport.abortConnection()
        elif fault.truncate is not None or fault.until_close:
            self.transport.loseConnection()
        else:
            self._answering = False
            self.dataReceived(b"")
