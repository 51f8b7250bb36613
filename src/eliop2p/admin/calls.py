"""
``POST`` pages of the admin port that take and give a JSON object.
"""

import json
from collections.abc import Callable
from http import HTTPStatus

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from eliop2p.admin.bounded import BoundedRequest
from eliop2p.base.errors import ElioError

Call = Callable[[dict[str, object]], "Deferred[dict[str, object]]"]
"""
Answers an object with another; ValueError when it makes no sense.
"""

_log = Logger()


class CallPage(Resource):
    """
    A page that makes a call.

    Web pages cannot send JSON to another site without asking first, hence the demand
    for its type.

    Args:
        call: Makes it.
    """

    isLeaf = True

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def render(self, request: Request) -> int:
        """
        Answer a POST; other methods are not allowed.
        """
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        kind = (request.getHeader(b"Content-Type") or b"").partition(b";")[0].strip()
        if request.method != b"POST":
            request.setHeader(b"Allow", b"POST")
            _answer(request, HTTPStatus.METHOD_NOT_ALLOWED, "only POST is allowed here")
        elif kind.lower() != b"application/json":
            reason = "send Content-Type: application/json"
            _answer(request, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason)
        elif isinstance(request, BoundedRequest) and request.too_long:
            reason = "the body is too long"
            _answer(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
        else:
            done = maybeDeferred(self._make, request)
            done.addBoth(self._done, request, gone)
        return NOT_DONE_YET

    def _make(self, request: Request) -> "Deferred[dict[str, object]]":
        assert request.content is not None
        try:
            asked = json.loads(request.content.read())
        except RecursionError:
            raise ValueError("the body is nested too deeply") from None
        if not isinstance(asked, dict):
            raise ValueError("the body is to be an object")  # noqa: TRY004
        return self._call(asked)

    def _done(
        self,
        result: dict[str, object] | Failure,
        request: Request,
        gone: list[object],
    ) -> None:
        if gone:
            return
        if not isinstance(result, Failure):
            _write(request, HTTPStatus.OK, result)
        elif result.check(ValueError):
            _answer(request, HTTPStatus.BAD_REQUEST, result.getErrorMessage())
        elif result.check(ElioError):
            _answer(request, HTTPStatus.BAD_GATEWAY, result.getErrorMessage())
        else:
            _log.failure("answering an operator", result)
            reason = "failed; see the node's log"
            _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, reason)


def _answer(request: Request, status: HTTPStatus, reason: str) -> None:
    _write(request, status, {"error": reason})


def _write(request: Request, status: HTTPStatus, body: dict[str, object]) -> None:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/json")
    request.setHeader(b"Cache-Control", b"no-store")
    request.write(json.dumps(body).encode() + b"\n")
    request.finish()
