"""
A directory that answers as an object store would.
"""

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from eliop2p.http1.dates import http_date
from eliop2p.http1.message import Header, RequestHead, ResponseHead
from eliop2p.interfaces import IBodySource, IOrigin, IOriginResponse, IWorker
from eliop2p.model.ranges import content_range
from eliop2p.storage.conditions import Outcome, State, decide
from eliop2p.storage.local_body import FileFlow, discard, small_response, unavailable
from eliop2p.storage.local_file import (
    OpenFile,
    Refusal,
    find_bucket,
    open_object,
)

_SUBRESOURCES = frozenset(
    b"acl attributes cors legal-hold list-type location partNumber policy restore "
    b"retention select tagging torrent uploadId uploads versionId versioning "
    b"versions website x-oss-process".split()
)
_MESSAGES = {
    "AccessDenied": "Access Denied",
    "InvalidRange": "The requested range is not satisfiable",
    "MethodNotAllowed": "The specified method is not allowed against this resource.",
    "NoSuchBucket": "The specified bucket does not exist",
    "NoSuchKey": "The specified key does not exist.",
    "NotImplemented": "A directory has nothing that answers this.",
    "PreconditionFailed": "At least one of the pre-conditions you specified did not "
    "hold",
}


def _split(target: bytes) -> tuple[bytes, bytes]:
    """
    Find bucket and key in a request target; each may be empty.

    Raises:
        Refusal: The request is for something else about them.
    """
    path, _, query = target.partition(b"?")
    if not path.startswith(b"/"):
        _, _, rest = path.partition(b"://")
        path = b"/" + rest.partition(b"/")[2]
    names = {item.partition(b"=")[0] for item in query.split(b"&")}
    if names & _SUBRESOURCES:
        raise Refusal(501, "NotImplemented")
    bucket, _, key = path[1:].partition(b"/")
    return unquote_to_bytes(bucket), unquote_to_bytes(key)


def _error_body(code: str, target: bytes) -> bytes:
    resource = target.partition(b"?")[0].decode("ascii", "backslashreplace")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{_MESSAGES[code]}</Message>"
        f"<Resource>{escape(resource)}</Resource></Error>"
    ).encode("ascii")


def _head(status: int, headers: tuple[Header, ...]) -> ResponseHead:
    return ResponseHead(status, HTTPStatus(status).phrase.encode("ascii"), headers)


def _validators(state: State) -> tuple[Header, ...]:
    return (b"Last-Modified", http_date(state.modified)), (b"ETag", state.etag)


@implementer(IOrigin)
class LocalOrigin:
    """
    Serves files: buckets are the folders of the root, keys the paths below them.

    Read-only, and without lists. An ETag is made of a file's inode, size and time of
    change, so that a file must be replaced rather than written over for readers to see
    one version or the other; a change while a file is read breaks the answer off.

    Args:
        root: The directory.
        worker: Where the disk is waited for.
        clock: Time since the epoch, for Date.

    Attributes:
        name: ``file://`` and the root.
        requests: Requests answered so far.
        bytes_in: Bytes read from files.
        connections_open: Always 0.
    """

    connections_open = 0

    def __init__(self, root: str, worker: IWorker, clock: IReactorTime) -> None:
        self.name = b"file://" + root.encode("utf-8", "surrogateescape")
        self.requests = 0
        self.bytes_in = 0
        self._root = root
        self._worker = worker
        self._clock = clock

    def request(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,  # noqa: ARG002 - nothing to tell
    ) -> "Deferred[IOriginResponse]":
        """
        See :meth:`eliop2p.interfaces.IOrigin.request`.
        """
        self.requests += 1
        return Deferred.fromCoroutine(self._request(head, body))

    def close(self) -> "Deferred[None]":
        """
        There is nothing to close.
        """
        return succeed(None)

    async def _request(
        self, head: RequestHead, body: IBodySource | None
    ) -> IOriginResponse:
        if body is not None:
            await self._dispose(head, body)
        try:
            return await self._answer(head)
        except Refusal as refusal:
            return self._refuse(head, refusal)
        except OSError as error:
            raise unavailable(error) from error

    async def _dispose(self, head: RequestHead, body: IBodySource) -> None:
        if b"100-continue" in head.tokens(b"expect"):
            body.stop()
        else:
            await discard(body)

    async def _answer(self, head: RequestHead) -> IOriginResponse:
        if head.method not in (b"GET", b"HEAD"):
            raise Refusal(405, "MethodNotAllowed")
        bucket, key = _split(head.target)
        if key:
            file = await self._worker.run(open_object, self._root, bucket, key)
            return self._give(head, file)
        if bucket:
            await self._worker.run(find_bucket, self._root, bucket)
            if head.method == b"HEAD":
                return self._small(head, 200, (), b"")
        raise Refusal(501, "NotImplemented")

    def _give(self, head: RequestHead, file: OpenFile) -> IOriginResponse:
        outcome = decide(head, file.state)
        interval = outcome.interval
        if outcome.status not in (200, 206):
            file.close()
            return self._refuse_range(head, file, outcome.status)
        answer = self._object_head(file, outcome)
        if head.method == b"HEAD" or not interval.length:
            file.close()
            return small_response(answer, b"")
        return FileFlow(file, interval, self._worker, self._count).respond(answer)

    def _refuse_range(
        self, head: RequestHead, file: OpenFile, status: int
    ) -> IOriginResponse:
        if status == 304:
            headers = (*self._dated(), *_validators(file.state))
            return small_response(_head(304, headers), b"")
        if status == 412:
            return self._refuse(head, Refusal(412, "PreconditionFailed"))
        size = (b"Content-Range", b"bytes */%d" % file.state.size)
        return self._refuse(head, Refusal(416, "InvalidRange"), size)

    def _object_head(self, file: OpenFile, outcome: Outcome) -> ResponseHead:
        headers = [
            *self._dated(),
            *_validators(file.state),
            (b"Accept-Ranges", b"bytes"),
            (b"Content-Type", file.content_type),
            (b"Content-Length", b"%d" % outcome.interval.length),
        ]
        if outcome.status == 206:
            shown = content_range(outcome.interval, file.state.size)
            headers.append((b"Content-Range", shown))
        return _head(outcome.status, tuple(headers))

    def _refuse(
        self, head: RequestHead, refusal: Refusal, *headers: Header
    ) -> IOriginResponse:
        body = _error_body(refusal.code, head.target)
        kind = (b"Content-Type", b"application/xml")
        return self._small(head, refusal.status, (*headers, kind), body)

    def _small(
        self, head: RequestHead, status: int, headers: tuple[Header, ...], body: bytes
    ) -> IOriginResponse:
        length = (b"Content-Length", b"%d" % len(body))
        answer = _head(status, (*self._dated(), *headers, length))
        return small_response(answer, b"" if head.method == b"HEAD" else body)

    def _dated(self) -> tuple[Header, ...]:
        return ((b"Date", http_date(self._clock.seconds())),)

    def _count(self, length: int) -> None:
        self.bytes_in += length
