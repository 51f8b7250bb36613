"""
The operator's HTTP port.
"""

import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import (
    FORBIDDEN,
    NOT_ALLOWED,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
)
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from eliop2p.admin.bounded import BoundedRequest
from eliop2p.admin.calls import Call, CallPage
from eliop2p.admin.dashboard import put_dashboard
from eliop2p.admin.evict import Evict, EvictPage
from eliop2p.admin.explain import ExplainPage, RequestsPage
from eliop2p.admin.live import EventsPage, Live
from eliop2p.admin.status import NodeStatus
from eliop2p.base.metrics import Metrics
from eliop2p.model.peer import PeerStanding
from eliop2p.model.trails import Trails


class _Leaf(Resource):
    """
    One page made from a function.
    """

    isLeaf = True

    def __init__(self, content_type: bytes, make: Callable[[Request], bytes]) -> None:
        super().__init__()
        self._content_type = content_type
        self._make = make

    def render(self, request: Request) -> bytes:
        """
        Answer a GET or HEAD; other methods are not allowed.
        """
        request.setHeader(b"Content-Type", self._content_type)
        request.setHeader(b"Cache-Control", b"no-store")
        if request.method not in {b"GET", b"HEAD"}:
            request.setResponseCode(NOT_ALLOWED)
            request.setHeader(b"Allow", b"GET, HEAD")
            return b"only GET and HEAD are allowed here\n"
        return _unless_head(request, self._make(request))


def _unless_head(request: Request, body: bytes) -> bytes:
    """
    Give the body of an answer, which a HEAD only hears the length of.
    """
    if request.method != b"HEAD":
        return body
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return b""


class _Branch(Resource):
    """
    A part of a path, which is no page itself.
    """

    def getChild(self, path: bytes, request: Request) -> Resource:  # noqa: ARG002
        """
        Say that there is no such page.
        """
        return _no_such_page()

    def render(self, request: Request) -> bytes:
        """
        Say that there is no such page.
        """
        return _no_such_page().render(request)


class _Guarded(_Branch):
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
            return _Refusal(UNAUTHORIZED, b"a bearer token is needed: see token_file")
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            return _Refusal(FORBIDDEN, b"this is not the token in token_file")
        return None


class _Refusal(Resource):
    """
    A page that nobody gets, whatever the method.
    """

    isLeaf = True

    def __init__(self, status: int, text: bytes) -> None:
        super().__init__()
        self._status = status
        self._text = text

    def render(self, request: Request) -> bytes:
        """
        Say why.
        """
        request.setResponseCode(self._status)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(b"Cache-Control", b"no-store")
        if self._status == UNAUTHORIZED:
            request.setHeader(b"WWW-Authenticate", b"Bearer")
        return _unless_head(request, self._text + b"\n")


def _no_such_page() -> _Refusal:
    return _Refusal(NOT_FOUND, b"there is no such page")


class _AdminSite(Site):
    """
    A site without an access log: probes and metrics are asked for all day long.
    """

    noisy = False

    def log(self, request: object) -> None:
        """
        Write nothing.
        """


def _public_pages(metrics: Metrics, status: Callable[[], NodeStatus]) -> _Branch:
    """
    Make the pages for which nobody needs a token.
    """

    def ready(request: Request) -> bytes:
        if status().ready:
            return b"ready\n"
        request.setResponseCode(SERVICE_UNAVAILABLE)
        return b"starting: the disk tier is still being read\n"

    text = b"text/plain; charset=utf-8"
    root = _Branch()
    root.putChild(b"healthz", _Leaf(text, lambda _: b"ok\n"))
    root.putChild(b"readyz", _Leaf(text, ready))
    root.putChild(
        b"metrics",
        _Leaf(b"text/plain; version=0.0.4; charset=utf-8", lambda _: metrics.render()),
    )
    return root


def admin_site(
    metrics: Metrics,
    status: Callable[[], NodeStatus],
    token: bytes,
    clock: IReactorTime,
    *,
    evict: Evict | None = None,
    trails: Trails | None = None,
    live: Live | None = None,
    peers: Callable[[], Sequence[PeerStanding]] = tuple,
    calls: Mapping[bytes, Call] = MappingProxyType({}),
) -> Site:
    """
    Make the site of the admin port.

    Args:
        metrics: What ``/metrics`` shows.
        status: What ``/api/v1/status`` shows.
        token: What callers of ``/api`` must bring; empty when they need nothing.
        clock: Times connections out.
        evict: What ``/api/v1/evict`` does; without it there is no such page.
        peers: How the peers have done, for ``/api/v1/peers``.
        live: What ``/`` and ``/api/v1/events`` show, likewise.
        trails: What ``/api/v1/requests`` and ``/api/v1/explain`` tell of, likewise.
        calls: What answers further pages below ``/api/v1``, by their names.
    """

    def describe(_: Request) -> bytes:
        return json.dumps(status().to_json()).encode() + b"\n"

    def describe_peers(_: Request) -> bytes:
        shown = status()
        answer = {
            "node_id": shown.node_id,
            "members": [attrs.asdict(member) for member in shown.members],
            "peers": [attrs.asdict(peer) for peer in peers()],
        }
        return json.dumps(answer).encode() + b"\n"

    root = _public_pages(metrics, status)
    api, version = _Guarded(token), _Branch()
    root.putChild(b"api", api)
    api.putChild(b"v1", version)
    version.putChild(b"status", _Leaf(b"application/json", describe))
    version.putChild(b"peers", _Leaf(b"application/json", describe_peers))
    if evict is not None:
        version.putChild(b"evict", EvictPage(evict))
    if trails is not None:
        version.putChild(b"requests", RequestsPage(trails))
        version.putChild(b"explain", ExplainPage(trails))
    if live is not None:
        put_dashboard(root)
        version.putChild(b"events", EventsPage(live))
    for name, call in calls.items():
        version.putChild(name, CallPage(call))
    return _AdminSite(
        root,
        requestFactory=BoundedRequest,
        reactor=clock,
        parsePOSTFormSubmission=False,
    )
