"""
The operator's HTTP port.
"""

import hmac
import json
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import FORBIDDEN, SERVICE_UNAVAILABLE, UNAUTHORIZED
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from eliop2p.admin.status import NodeStatus
from eliop2p.base.metrics import Metrics


class _Leaf(Resource):
    """
    One page made from a function.
    """

    isLeaf = True

    def __init__(self, content_type: bytes, render: Callable[[Request], bytes]) -> None:
        super().__init__()
        self._content_type = content_type
        self._render = render

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"Content-Type", self._content_type)
        request.setHeader(b"Cache-Control", b"no-store")
        return self._render(request)


class _Guarded(Resource):
    """
    Pages that ask for the operator's token.
    """

    def __init__(self, token: bytes) -> None:
        super().__init__()
        self._token = token

    def getChildWithDefault(  # noqa: N802  twisted.web calls it
        self, path: bytes, request: Request
    ) -> Resource:
        """
        Ask for the token before looking at the path.
        """
        if self._token:
            refused = self._check(request)
            if refused is not None:
                return refused
        found: Resource = super().getChildWithDefault(path, request)
        return found

    def _check(self, request: Request) -> Resource | None:
        given = request.getHeader(b"Authorization")
        if given is None:
            return _refusal(UNAUTHORIZED, b"a bearer token is needed: see token_file")
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            return _refusal(FORBIDDEN, b"this is not the token in token_file")
        return None


def _refusal(status: int, text: bytes) -> Resource:
    def render(request: Request) -> bytes:
        request.setResponseCode(status)
        if status == UNAUTHORIZED:
            request.setHeader(b"WWW-Authenticate", b"Bearer")
        return text + b"\n"

    return _Leaf(b"text/plain; charset=utf-8", render)


def admin_site(
    metrics: Metrics,
    status: Callable[[], NodeStatus],
    token: bytes,
    clock: IReactorTime,
) -> Site:
    """
    Make the site of the admin port.

    Args:
        metrics: What ``/metrics`` shows.
        status: What ``/api/v1/status`` shows.
        token: What callers of ``/api`` must bring; empty when they need nothing.
        clock: Times connections out.
    """

    def ready(request: Request) -> bytes:
        if status().ready:
            return b"ready\n"
        request.setResponseCode(SERVICE_UNAVAILABLE)
        return b"starting: the disk tier is still being read\n"

    def describe(_: Request) -> bytes:
        return json.dumps(status().to_json(), sort_keys=True).encode() + b"\n"

    text = b"text/plain; charset=utf-8"
    root = Resource()
    root.putChild(b"healthz", _Leaf(text, lambda _: b"ok\n"))
    root.putChild(b"readyz", _Leaf(text, ready))
    root.putChild(
        b"metrics",
        _Leaf(b"text/plain; version=0.0.4; charset=utf-8", lambda _: metrics.render()),
    )
    api, version = _Guarded(token), Resource()
    root.putChild(b"api", api)
    api.putChild(b"v1", version)
    version.putChild(b"status", _Leaf(b"application/json", describe))
    return Site(root, reactor=clock)
