"""
The control plane's HTTP API.
"""

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request

from eliop2p.control.answers import (
    MAX_BODY,
    Answer,
    Guard,
    Refusal,
    bad_message,
    body_too_large,
    no_such_path,
    too_many_nodes,
    unknown_node,
    wrong_method,
)
from eliop2p.control.fields import BadMessage, decode, encode
from eliop2p.control.journal import Journal
from eliop2p.control.messages import (
    NODE_ID_REMEDY,
    ChunkReport,
    Heartbeat,
    LocationsAnswer,
    LocationsQuery,
    MembershipAnswer,
    is_node_id,
    node_from_json,
    node_to_json,
)
from eliop2p.control.metrics import CONTENT_TYPE, ControlMetrics
from eliop2p.control.registry import Member, Registry, RegistryFull, UnknownNode
from eliop2p.control.routes import match_path

_log = Logger()


@attrs.frozen
class _Call:
    """
    A request that has found its route.

    Attributes:
        node_id: The node that the path names, empty when it names none.
        body: The body.
    """

    node_id: str
    body: bytes

    def message(self) -> object:
        """
        Read the body.

        Raises:
            BadMessage: It is no JSON.
        """
        return decode(self.body)


class ControlResource(Resource):
    """
    Answers every path, see :data:`ROUTES`. Nothing here waits: the registry is in
    memory, and what it learns is written down later.

    Args:
        registry: Who is alive.
        journal: Writes changes down.
        guard: Knows the token.
        metrics: Counts.
        clock: Tells the time.
    """

    isLeaf = True

    def __init__(
        self,
        registry: Registry,
        journal: Journal,
        guard: Guard,
        metrics: ControlMetrics,
        clock: IReactorTime,
    ) -> None:
        super().__init__()
        self._registry = registry
        self._journal = journal
        self._guard = guard
        self._metrics = metrics
        self._clock = clock
        # A change sends the whole list to every node: it is written out once.
        self._membership = (-1, b"")
        self._answers: dict[str, Callable[[_Call], Answer]] = {
            "health": self._health,
            "register": self._register,
            "nodes": self._nodes,
            "heartbeat": self._heartbeat,
            "leave": self._leave,
            "report": self._report,
            "locations": self._locations,
            "counts": self._counts,
            "metrics": self._prometheus,
        }

    def render(self, request: Request) -> bytes:
        """
        Answer a request.
        """
        try:
            answer = self._answer(request)
        except Refusal as refusal:
            self._metrics.refused[refusal.reason] += 1
            answer = refusal.answer
        self._metrics.requests[answer.status] += 1
        request.setResponseCode(answer.status)
        request.setHeader(b"Content-Type", answer.content_type)
        request.setHeader(b"Content-Length", b"%d" % len(answer.body))
        request.setHeader(b"Cache-Control", b"no-store")
        for name, value in answer.headers:
            request.setHeader(name, value)
        return b"" if request.method == b"HEAD" else answer.body

    def _answer(self, request: Request) -> Answer:
        found = match_path(tuple(request.postpath or ()))
        if found is None:
            raise no_such_path(request.path)
        method = request.method.decode("ascii", "backslashreplace")
        route = found.routes.get("GET" if method == "HEAD" else method)
        if route is None:
            raise wrong_method(method, found.allowed)
        if route.guarded:
            self._guard.check(request.requestHeaders)
        body = request.content.read(MAX_BODY + 1) if request.content else b""
        if len(body) > MAX_BODY:
            raise body_too_large()
        node_id = _read_node_id(found.node_id) if "{id}" in route.path else ""
        try:
            return self._answers[route.name](_Call(node_id, body))
        except BadMessage as error:
            raise bad_message(error.field, error.value, error.remedy) from error
        except UnknownNode as error:
            raise unknown_node(node_id) from error

    def _health(self, _: _Call) -> Answer:
        database = "failing" if self._journal.failing else "ok"
        return Answer(encode({"status": "ok", "database": database}))

    def _register(self, call: _Call) -> Answer:
        node = node_from_json(call.message())
        try:
            changed = self._registry.register(node, self._clock.seconds())
        except RegistryFull as error:
            raise too_many_nodes(node.node_id, str(error)) from error
        if changed:
            self._journal.note(node.node_id)
            _log.info(
                "node {node_id} registered at {host}:{port}",
                node_id=node.node_id,
                host=node.host,
                port=node.port,
            )
        return self._members()

    def _nodes(self, _: _Call) -> Answer:
        nodes = [self._describe(member) for member in self._registry.members()]
        return Answer(encode({"version": self._registry.version, "nodes": nodes}))

    def _heartbeat(self, call: _Call) -> Answer:
        heartbeat = Heartbeat.from_json(call.message())
        self._registry.beat(call.node_id, heartbeat, self._clock.seconds())
        self._metrics.heartbeats += 1
        if heartbeat.membership_version != self._registry.version:
            return self._members()
        unchanged = MembershipAnswer(self._registry.version, None)
        return Answer(encode(unchanged.to_json()))

    def _leave(self, call: _Call) -> Answer:
        self._registry.leave(call.node_id)
        self._journal.note(call.node_id)
        _log.info("node {node_id} left", node_id=call.node_id)
        return Answer(encode({"version": self._registry.version}))

    def _report(self, call: _Call) -> Answer:
        report = ChunkReport.from_json(call.message())
        now = self._clock.seconds()
        return Answer(
            encode(self._registry.report(call.node_id, report, now).to_json())
        )

    def _locations(self, call: _Call) -> Answer:
        query = LocationsQuery.from_json(call.message())
        found = LocationsAnswer(self._registry.locate(query.chunk_ids))
        return Answer(encode(found.to_json()))

    def _counts(self, _: _Call) -> Answer:
        return Answer(encode(self._metrics.to_json()))

    def _prometheus(self, _: _Call) -> Answer:
        return Answer(self._metrics.render(), content_type=CONTENT_TYPE)

    def _members(self) -> Answer:
        version = self._registry.version
        if self._membership[0] != version:
            answer = MembershipAnswer(version, self._registry.nodes())
            self._membership = (version, encode(answer.to_json()))
        return Answer(self._membership[1])

    def _describe(self, member: Member) -> dict[str, object]:
        """
        Tell all that is known of a node.
        """
        node = member.saved.info
        return node_to_json(node) | {
            "registered_at": member.saved.registered_at,
            "silent_seconds": max(0.0, self._clock.seconds() - member.heard_at),
            "load": member.load.to_json() if member.load else None,
            "known_chunks": self._registry.locations.count(node.node_id),
        }


def _read_node_id(segment: bytes) -> str:
    """
    Read the name of a node from the path.

    Raises:
        Refusal: It cannot be one.
    """
    text = segment.decode("utf-8", "replace")
    if "\ufffd" in text or not is_node_id(text):
        shown = segment[:80].decode("ascii", "backslashreplace")
        raise bad_message("node_id", shown, NODE_ID_REMEDY)
    return text
