"""
The control plane's HTTP API.
"""

import gc
from collections.abc import Callable

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import ACCEPTED
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from eliop2p.control import answers
from eliop2p.control.answers import MAX_BODY, Answer, Refusal
from eliop2p.control.calls import Call, read_call
from eliop2p.control.fields import MAX_INTEGER, BadMessage, encode
from eliop2p.control.journal import Journal
from eliop2p.control.membership import MembershipAnswer
from eliop2p.control.messages import (
    MAX_NODES,
    ChunkReport,
    Heartbeat,
    LocationsAnswer,
    LocationsQuery,
    node_from_json,
    node_to_json,
)
from eliop2p.control.metrics import CONTENT_TYPE, ControlMetrics
from eliop2p.control.openapi import describe_api
from eliop2p.control.orders import (
    OrderConflict,
    OrdersFull,
    Outcome,
    State,
    UnknownOrder,
    order_from_json,
)
from eliop2p.control.policy import Policy
from eliop2p.control.registry import Member, Registry, RegistryFull, UnknownNode
from eliop2p.control.routes import ROUTES, Route, match_path
from eliop2p.control.tokens import Guard
from eliop2p.control.waiting import Waiters

MAX_WAIT = 60
"""
Seconds for which a question may wait for a change.
"""

FROZEN_EVERY = 50_000
"""
Reported chunks after which what is kept is no longer looked at for garbage: it has no
cycles, and a look at a million of them stops everything for a tenth of a second.
"""

_log = Logger()


class ControlResource(Resource):
    """
    Answers every path, see :data:`ROUTES`. Nothing but a question for a newer
    membership waits: the registry is in memory, and what it learns is written down
    later.

    Args:
        registry: Who is alive.
        journal: Writes changes down.
        guard: Knows the tokens.
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
        self._orders = registry.orders
        self._frozen = 0
        self._waiters = Waiters(clock, 2 * MAX_NODES)
        metrics.waiting = lambda: len(self._waiters)
        self._answers: dict[str, Callable[[Call], Answer | Deferred[Answer]]] = {
            "health": self._health,
            "register": self._register,
            "nodes": self._nodes,
            "heartbeat": self._heartbeat,
            "leave": self._leave,
            "report": self._report,
            "locations": self._locations,
            "counts": self._counts,
            "metrics": self._prometheus,
            "membership": self._watch,
            "commands": self._commands,
            "order": self._order,
            "acknowledge": self._acknowledge,
            "all_commands": self._all_commands,
            "replication": self._replication,
            "replicate": self._replicate,
            "openapi": self._openapi,
        }

    def render(self, request: Request) -> int:
        """
        Answer a request.
        """
        try:
            answer = self._answer(request)
        except Refusal as refusal:
            self._metrics.refused[refusal.reason] += 1
            answer = refusal.answer
        if isinstance(answer, Answer):
            self._send(answer, request)
        else:
            gone = request.notifyFinish()
            gone.addErrback(lambda _: answer.cancel())
            answer.addCallback(self._send, request)
            answer.addErrback(_give_up)
        return NOT_DONE_YET

    def changed(self) -> None:
        """
        The membership has changed: tell those who wait for that.
        """
        self._waiters.wake()

    def close(self) -> None:
        """
        Let nobody wait any more.
        """
        self._waiters.close()

    def _send(self, answer: Answer, request: Request) -> None:
        self._metrics.requests[answer.status] += 1
        request.setResponseCode(answer.status)
        request.setHeader(b"Content-Type", answer.content_type)
        request.setHeader(b"Content-Length", b"%d" % len(answer.body))
        request.setHeader(b"Cache-Control", b"no-store")
        for name, value in answer.headers:
            request.setHeader(name, value)
        if request.method != b"HEAD":
            request.write(answer.body)
        request.finish()

    def _answer(self, request: Request) -> Answer | Deferred[Answer]:
        found = match_path(tuple(request.postpath or ()))
        if found is None:
            raise answers.no_such_path(request.path)
        method = request.method.decode("ascii", "backslashreplace")
        route = found.routes.get("GET" if method == "HEAD" else method)
        if route is None:
            raise answers.wrong_method(method, found.allowed)
        self._guard.check(request.requestHeaders, route.role)
        body = request.content.read(MAX_BODY + 1) if request.content else b""
        if len(body) > MAX_BODY:
            raise answers.body_too_large()
        return self._carry_out(route, read_call(found, request.args or {}, body))

    def _carry_out(self, route: Route, call: Call) -> Answer | Deferred[Answer]:
        try:
            return self._answers[route.name](call)
        except BadMessage as error:
            raise answers.bad_message(error.field, error.value, error.remedy) from error
        except UnknownNode as error:
            raise answers.unknown_node(call.node_id) from error

    def _health(self, _: Call) -> Answer:
        database = "failing" if self._journal.failing else "ok"
        return Answer(encode({"status": "ok", "database": database}))

    def _register(self, call: Call) -> Answer:
        node = node_from_json(call.message())
        try:
            changed = self._registry.register(node, self._clock.seconds())
        except RegistryFull as error:
            raise answers.too_many_nodes(node.node_id, str(error)) from error
        if changed:
            self._journal.note(node.node_id)
            self.changed()
            _log.info(
                "node {node_id} registered at {host}:{port}",
                node_id=node.node_id,
                host=node.host,
                port=node.port,
            )
        return self._members(node.node_id)

    def _nodes(self, _: Call) -> Answer:
        nodes = [self._describe(member) for member in self._registry.members()]
        return Answer(encode({"version": self._registry.version, "nodes": nodes}))

    def _heartbeat(self, call: Call) -> Answer:
        heartbeat = Heartbeat.from_json(call.message())
        self._registry.beat(call.node_id, heartbeat, self._clock.seconds())
        self._metrics.heartbeats += 1
        return self._since(heartbeat.membership_version, call.node_id)

    def _leave(self, call: Call) -> Answer:
        self._registry.leave(call.node_id)
        self._orders.drop(call.node_id)
        self._journal.note(call.node_id)
        self.changed()
        _log.info("node {node_id} left", node_id=call.node_id)
        return Answer(encode({"version": self._registry.version}))

    def _report(self, call: Call) -> Answer:
        report = ChunkReport.from_json(call.message())
        answer = self._registry.report(call.node_id, report, self._clock.seconds())
        known = self._registry.locations.pairs
        if known - self._frozen >= FROZEN_EVERY:
            self._frozen = known
            gc.freeze()
        return Answer(encode(answer.to_json()))

    def _locations(self, call: Call) -> Answer:
        query = LocationsQuery.from_json(call.message())
        found = LocationsAnswer(self._registry.locate(query.chunk_ids))
        return Answer(encode(found.to_json()))

    def _counts(self, _: Call) -> Answer:
        return Answer(encode(self._metrics.to_json()))

    def _prometheus(self, _: Call) -> Answer:
        return Answer(self._metrics.render(), content_type=CONTENT_TYPE)

    def _watch(self, call: Call) -> Deferred[Answer]:
        """
        Answer when the membership is another than the asker's, or time is up.
        """
        version = call.number("version", MAX_INTEGER)
        seconds = call.number("wait", MAX_WAIT)
        current = version == self._registry.version
        waiting = self._waiters.wait(seconds if current else 0)
        return waiting.addCallback(lambda _: self._since(version, ""))

    def _commands(self, call: Call) -> Answer:
        self._known(call.node_id)
        orders = self._orders.waiting(call.node_id)
        return Answer(encode({"commands": [order.to_json() for order in orders]}))

    def _order(self, call: Call) -> Answer:
        self._known(call.node_id)
        order = order_from_json(call.message())
        now = self._clock.seconds()
        known = self._orders.find(call.node_id, order.command_id)
        try:
            standing = self._orders.give(call.node_id, order, now)
        except OrderConflict as error:
            raise answers.other_command(order.command_id) from error
        except OrdersFull as error:
            raise answers.too_many_commands(call.node_id, str(error)) from error
        if standing is not known:
            self._metrics.commands["given"] += 1
            self._journal.note_orders()
        return Answer(encode(standing.to_json()), ACCEPTED)

    def _acknowledge(self, call: Call) -> Answer:
        outcome = Outcome.from_json(call.message())
        known = self._orders.find(call.node_id, call.command_id)
        waited = known is not None and known.outcome.state is State.WAITING
        try:
            standing = self._orders.end(call.node_id, call.command_id, outcome)
        except UnknownOrder as error:
            raise answers.unknown_command(call.command_id) from error
        if waited:
            self._metrics.commands[outcome.state.value] += 1
            self._journal.note_orders()
        return Answer(encode(standing.to_json()))

    def _all_commands(self, _: Call) -> Answer:
        known = [standing.to_json() for standing in self._orders.all()]
        return Answer(encode({"commands": known}))

    def _replication(self, _: Call) -> Answer:
        policy = self._registry.policy.to_json()
        return Answer(encode(policy | {"adjuster": self._registry.adjuster}))

    def _replicate(self, call: Call) -> Answer:
        wanted = Policy.from_json(call.message())
        known = self._registry.policy.version
        if wanted.version not in {0, known}:
            raise answers.other_version(known)
        self._registry.policy = attrs.evolve(wanted, version=known + 1)
        self._journal.note_policy()
        return self._replication(call)

    def _openapi(self, _: Call) -> Answer:
        return Answer(encode(describe_api(ROUTES)))

    def _known(self, node_id: str) -> None:
        if self._registry.find(node_id) is None:
            raise UnknownNode(node_id)

    def _since(self, version: int, node_id: str) -> Answer:
        """
        Tell a node what it does not know yet.
        """
        current = self._registry.version
        if version == current:
            return self._told(MembershipAnswer(current), node_id)
        delta = self._registry.changes_since(version)
        if delta is None:
            return self._members(node_id)
        return self._told(MembershipAnswer(current, delta=delta), node_id)

    def _told(self, answer: MembershipAnswer, node_id: str) -> Answer:
        orders = self._orders.count(node_id)
        adjusts = bool(node_id) and node_id == self._registry.adjuster
        answer = attrs.evolve(answer, commands=orders, adjusts=adjusts)
        return Answer(encode(answer.to_json()))

    def _members(self, node_id: str) -> Answer:
        version = self._registry.version
        if node_id == self._registry.adjuster or self._orders.count(node_id):
            answer = MembershipAnswer(version, self._registry.nodes())
            return self._told(answer, node_id)
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


def _give_up(failure: Failure) -> None:
    """
    Note that a late answer could not be given; nobody waits for a cancelled one.
    """
    if failure.check(CancelledError):
        return
    _log.failure("writing an answer went wrong", failure=failure)
