"""
``/api/v1/requests`` and ``/api/v1/explain/ID``: how requests were answered.
"""

import json
from http import HTTPStatus
from typing import TypedDict

from twisted.web.resource import Resource
from twisted.web.server import Request

from eliop2p.model.trail import ChunkTrail, RequestTrail, Step
from eliop2p.model.trails import Trails

RECENT = 100
"""
How many requests ``/api/v1/requests`` lists, unless it is told otherwise.
"""

MOST = 1000
"""
How many it lists at most.
"""


class StepFields(TypedDict):
    """
    Something that was tried to get a chunk, as ``/api/v1/explain`` serves it.
    """

    what: str
    name: str
    outcome: str
    why: str
    bytes: int
    discarded: int
    seconds: float


class ChunkFields(TypedDict):
    """
    A chunk of an answer.
    """

    index: int
    bytes: int
    source: str
    peer: str
    waited: float
    queued: float
    retries: int
    reason: str
    steps: list[StepFields]
    steps_left_out: int


class SummaryFields(TypedDict):
    """
    A request, in short.
    """

    request_id: str
    method: str
    target: str
    started: float
    running: bool
    status: int
    cache: str
    auth: str
    first_byte: float | None
    seconds: float | None
    sent: int
    error: str
    sources: dict[str, int]


class AskFields(TypedDict):
    """
    A question to the store.
    """

    status: int
    seconds: float
    request_id: str


class RequestFields(SummaryFields):
    """
    A request with all that is known of it.
    """

    store: list[AskFields]
    chunks: list[ChunkFields]
    chunks_left_out: int


def _auth(trail: RequestTrail) -> str:
    """
    Tell what came of asking the store whether the client may read.
    """
    if not trail.asked:
        return "not asked"
    status = trail.asked[0][0]
    if not status:
        return "unreachable"
    return "refused" if status in (401, 403) else "granted"


def _step(step: Step) -> StepFields:
    return {
        "what": step.what,
        "name": step.name,
        "outcome": step.outcome,
        "why": step.why,
        "bytes": step.bytes,
        "discarded": step.intake.discarded,
        "seconds": round(step.seconds, 6),
    }


def _reason(chunk: ChunkTrail) -> str:
    """
    Say in words why a chunk came from where it came.
    """
    if chunk.arrival is None:
        return f"this node held it in its {chunk.source} tier"
    joined = "it was arriving for another request already; " if chunk.joined else ""
    for step in reversed(chunk.arrival.steps):
        if step.what == chunk.source and step.bytes:
            if step.what == "peer":
                return f"{joined}{step.name} {step.why}"
            return f"{joined}{step.why}"
    return f"{joined}it was arriving"


def _peer(chunk: ChunkTrail) -> str:
    """
    Name the node that gave the last bytes, if a node did.
    """
    if chunk.arrival is None or chunk.source != "peer":
        return ""
    names = [s.name for s in chunk.arrival.steps if s.what == "peer" and s.bytes]
    return names[-1] if names else ""


def _chunk(chunk: ChunkTrail) -> ChunkFields:
    arrival = chunk.arrival
    return {
        "index": chunk.index,
        "bytes": chunk.bytes,
        "source": f"joined {chunk.source}" if chunk.joined else chunk.source,
        "peer": _peer(chunk),
        "waited": round(chunk.waited, 6),
        "queued": round(arrival.queued, 6) if arrival else 0.0,
        "retries": arrival.retries if arrival else 0,
        "reason": _reason(chunk),
        "steps": [_step(step) for step in arrival.steps] if arrival else [],
        "steps_left_out": arrival.left_out if arrival else 0,
    }


def _sources(trail: RequestTrail) -> dict[str, int]:
    sources: dict[str, int] = dict(trail.more or {})
    for chunk in trail.chunks:
        sources[chunk.source] = sources.get(chunk.source, 0) + chunk.bytes
    if not sources and trail.sent:
        sources["relay"] = trail.sent
    return sources


def summary(trail: RequestTrail) -> SummaryFields:
    """
    Describe a request in short.
    """
    ended = trail.seconds >= 0
    return {
        "request_id": trail.request_id,
        "method": trail.method.decode("latin-1"),
        "target": trail.target.decode("latin-1"),
        "started": trail.started,
        "running": not ended,
        "status": trail.status,
        "cache": trail.cache,
        "auth": _auth(trail),
        "first_byte": round(trail.first, 6) if trail.first >= 0 else None,
        "seconds": round(trail.seconds, 6) if ended else None,
        "sent": trail.sent if ended else sum(c.bytes for c in trail.chunks),
        "error": trail.error,
        "sources": _sources(trail),
    }


def explanation(trail: RequestTrail) -> RequestFields:
    """
    Describe a request with all that is known of it.
    """
    return {
        **summary(trail),
        "store": [
            {"status": status, "seconds": round(seconds, 6), "request_id": name}
            for status, seconds, name in trail.asked
        ],
        "chunks": [_chunk(chunk) for chunk in trail.chunks],
        "chunks_left_out": trail.chunks_left_out,
    }


def _answer(request: Request, status: HTTPStatus, body: object) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/json")
    request.setHeader(b"Cache-Control", b"no-store")
    data = json.dumps(body).encode() + b"\n"
    if request.method != b"HEAD":
        return data
    request.setHeader(b"Content-Length", b"%d" % len(data))
    return b""


def _not_allowed(request: Request) -> bytes:
    request.setHeader(b"Allow", b"GET, HEAD")
    reason = {"error": "only GET and HEAD are allowed here"}
    return _answer(request, HTTPStatus.METHOD_NOT_ALLOWED, reason)


class RequestsPage(Resource):
    """
    Lists the requests under way and the last ones, newest first.

    Args:
        trails: Where they are kept.
    """

    isLeaf = True

    def __init__(self, trails: Trails) -> None:
        super().__init__()
        self._trails = trails

    def render(self, request: Request) -> bytes:
        """
        Answer a GET; ``?limit=N`` says how many.
        """
        if request.method not in {b"GET", b"HEAD"}:
            return _not_allowed(request)
        (text,) = (request.args or {}).get(b"limit", [b"%d" % RECENT])[:1]
        if not (text.isdigit() and len(text) < 6 and 0 < int(text) <= MOST):
            reason = {"error": f"limit is a whole number from 1 to {MOST}"}
            return _answer(request, HTTPStatus.BAD_REQUEST, reason)
        found = [summary(trail) for trail in self._trails.recent(int(text))]
        return _answer(request, HTTPStatus.OK, {"requests": found})


class ExplainPage(Resource):
    """
    Explains one request.

    Args:
        trails: Where they are kept.
        request_id: Which one; empty on the page above all of them.
    """

    def __init__(self, trails: Trails, request_id: str = "") -> None:
        super().__init__()
        self._trails = trails
        self._request_id = request_id

    def getChild(self, path: bytes, request: Request) -> Resource:  # noqa: ARG002
        """
        Give the page of a request.
        """
        below = f"{self._request_id}/" if self._request_id else ""
        return ExplainPage(self._trails, below + path.decode("latin-1"))

    def render(self, request: Request) -> bytes:
        """
        Answer a GET.
        """
        if request.method not in {b"GET", b"HEAD"}:
            return _not_allowed(request)
        trail = self._trails.get(self._request_id)
        if trail is None:
            return _answer(request, HTTPStatus.NOT_FOUND, {"error": self._unknown()})
        return _answer(request, HTTPStatus.OK, explanation(trail))

    def _unknown(self) -> str:
        if not self._trails.on:
            return "this node notes no requests: see [admin] explain_requests"
        return (
            "this node knows no such request: an id is the X-Elio-Request-Id of an "
            f"answer of this node, and the last {len(self._trails)} are kept"
        )
