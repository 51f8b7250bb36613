"""
``POST /api/v1/evict``: operators have objects dropped.
"""

import json
from collections.abc import Callable
from http import HTTPStatus

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from eliop2p.admin.bounded import MAX_BODY, BoundedRequest

_log = Logger()


@attrs.frozen
class Evicted:
    """
    What was dropped.

    Attributes:
        objects: Objects whose records were forgotten.
        chunks: Chunks of theirs that were held.
        bytes: The length of those chunks.
    """

    objects: int
    chunks: int
    bytes: int


Evict = Callable[[bytes, bytes], "Deferred[Evicted]"]
"""
Drops the objects of a bucket whose keys begin with a prefix.
"""


@attrs.frozen
class _Names:
    """
    Which objects are to be dropped.
    """

    bucket: bytes
    prefix: bytes


class _Refusal(Exception):
    """
    The request cannot be done.
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def _parse(request: Request) -> _Names:
    """
    Read a request.

    Raises:
        _Refusal: It is not to be understood, or comes from a web page: those cannot
            send JSON to another site without asking first.
    """
    kind = (request.getHeader(b"Content-Type") or b"").partition(b";")[0].strip()
    if kind.lower() != b"application/json":
        raise _Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json"
        )
    if isinstance(request, BoundedRequest) and request.too_long:
        raise _Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body may have {MAX_BODY} bytes",
        )
    assert request.content is not None
    try:
        body = json.loads(request.content.read())
    except (ValueError, RecursionError):
        raise _Refusal(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
    return _names(body)


def _names(body: object) -> _Names:
    if not isinstance(body, dict) or set(body) != {"bucket", "prefix"}:
        raise _Refusal(
            HTTPStatus.BAD_REQUEST, "expected an object with bucket and prefix"
        )
    bucket, prefix = body["bucket"], body["prefix"]
    if not (isinstance(bucket, str) and isinstance(prefix, str)):
        raise _Refusal(HTTPStatus.BAD_REQUEST, "bucket and prefix are strings")
    if not bucket or "/" in bucket:
        raise _Refusal(HTTPStatus.BAD_REQUEST, "bucket is not the name of a bucket")
    try:
        return _Names(bucket.encode(), prefix.encode())
    except UnicodeEncodeError:
        raise _Refusal(
            HTTPStatus.BAD_REQUEST, "bucket and prefix are to be Unicode"
        ) from None


def _answer(request: Request, status: HTTPStatus, body: dict[str, object]) -> None:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/json")
    request.setHeader(b"Cache-Control", b"no-store")
    request.write(json.dumps(body).encode() + b"\n")
    request.finish()


class EvictPage(Resource):
    """
    Takes ``{"bucket": ..., "prefix": ...}`` and answers with what was dropped. An
    operator who goes away does not stop it.

    Args:
        evict: Does it.
    """

    isLeaf = True

    def __init__(self, evict: Evict) -> None:
        super().__init__()
        self._evict = evict

    def render(self, request: Request) -> int:
        """
        Answer a POST; other methods are not allowed.
        """
        if request.method != b"POST":
            request.setHeader(b"Allow", b"POST")
            reason = "only POST is allowed here"
            _answer(request, HTTPStatus.METHOD_NOT_ALLOWED, {"error": reason})
            return NOT_DONE_YET
        try:
            names = _parse(request)
        except _Refusal as refusal:
            _answer(request, refusal.status, {"error": str(refusal)})
            return NOT_DONE_YET
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        done = self._evict(names.bucket, names.prefix)
        done.addBoth(self._done, request, gone)
        return NOT_DONE_YET

    def _done(
        self, result: Evicted | Failure, request: Request, gone: list[object]
    ) -> None:
        if isinstance(result, Failure):
            _log.failure("Evicting objects", result)
            status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
            body: dict[str, object] = {"error": "failed; see the node's log"}
        else:
            status, body = HTTPStatus.OK, attrs.asdict(result)
        if not gone:
            _answer(request, status, body)
