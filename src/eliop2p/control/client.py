"""
The control plane as a node sees it: over HTTP, or none at all.
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import ACCEPTED, FORBIDDEN, NOT_FOUND, OK, UNAUTHORIZED
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.bodies import Body, BoundedBody
from eliop2p.control.fields import BadMessage, Fields, decode, encode
from eliop2p.control.membership import MembershipAnswer
from eliop2p.control.messages import (
    MAX_REPORTED,
    ChunkReport,
    Heartbeat,
    ReportAnswer,
    error_from_json,
    node_to_json,
)
from eliop2p.control.orders import MAX_TOLD, Order, Outcome, order_from_json
from eliop2p.control.policy import Policy
from eliop2p.control.steering import ISteering
from eliop2p.interfaces import IControlPlane, NodeLoad, Registration
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import Membership, PeerInfo

TIMEOUT = 5.0
"""
Seconds for one exchange, from the connection to the end of the answer.
"""

WATCH_SECONDS = 30
"""
How long a question for a newer membership may wait at the control plane.
"""

_T = TypeVar("_T")


@attrs.frozen
class _Reply:
    """
    What the control plane answered.

    Attributes:
        status: The HTTP status.
        body: The body.
    """

    status: int
    body: bytes

    def read(self, from_json: Callable[[object], _T]) -> _T:
        """
        Read the answer to a request that was done.

        Raises:
            ControlPlaneError: It was not done, or the answer makes no sense.
        """
        if self.status not in {OK, ACCEPTED}:
            raise ControlPlaneError(f"it answered {self.status}: {self._remedy()}")
        try:
            return from_json(decode(self.body))
        except BadMessage as error:
            raise ControlPlaneError(f"its answer cannot be used: {error}") from error

    def _remedy(self) -> str:
        try:
            return str(error_from_json(decode(self.body)))
        except BadMessage:
            return "it is no control plane"


@implementer(IControlPlane, ISteering)
class HttpControlPlane:
    """
    A control plane that speaks HTTP.

    Args:
        endpoint: Where it is: ``http://host:port``.
        agent: Makes the connections.
        token: What it wants to be shown; empty for nothing.
        clock: Limits each exchange to :data:`TIMEOUT`.
    """

    def __init__(
        self, endpoint: str, agent: IAgent, token: bytes, clock: IReactorTime
    ) -> None:
        self._nodes = f"{endpoint}/api/v1/nodes"
        self._client = HTTPClient(agent, data_to_body_producer=Body)
        self._headers = Headers({b"Content-Type": [b"application/json"]})
        if token:
            self._headers.setRawHeaders(b"Authorization", [b"Bearer " + token])
        self._clock = clock
        self._watch_url = f"{endpoint}/api/v1/membership"
        self._policy_url = f"{endpoint}/api/v1/replication"
        self._known: Membership | None = None

    def register(self, node: PeerInfo) -> Deferred[Registration]:
        """
        See :meth:`IControlPlane.register`.

        Raises:
            ControlPlaneError: It did not take the node in (in the Deferred).
        """
        return Deferred.fromCoroutine(self._register(node))

    async def _register(self, node: PeerInfo) -> Registration:
        reply = await self._ask("POST", self._nodes, node_to_json(node))
        return self._registration(reply.read(MembershipAnswer.from_json))

    def watch(self, version: int) -> Deferred[Registration]:
        """
        See :meth:`IControlPlane.watch`.

        Raises:
            ControlPlaneError: There is no usable answer (in the Deferred).
        """
        return Deferred.fromCoroutine(self._watch(version))

    async def _watch(self, version: int) -> Registration:
        url = f"{self._watch_url}?version={version}&wait={WATCH_SECONDS}"
        reply = await self._ask("GET", url, None, WATCH_SECONDS + TIMEOUT)
        return self._registration(reply.read(MembershipAnswer.from_json))

    def _registration(self, answer: MembershipAnswer) -> Registration:
        """
        Give an answer the form that the node knows.
        """
        found: Membership | None = None
        known = self._known
        if known is not None and answer.delta and answer.version <= known.version:
            found = known  # Another answer has overtaken this one.
        elif answer.nodes is not None:
            peers = {node.node_id: node for node in answer.nodes}
            found = Membership(answer.version, peers)
        elif answer.delta is not None:
            if known is None or known.version != answer.delta.since:
                # Of something else than what is here: the whole is asked for next.
                return Registration(None, 0, answer.commands, answer.adjusts)
            found = answer.delta.apply(known, answer.version)
        if found is not None:
            self._known = found
        return Registration(found, answer.version, answer.commands, answer.adjusts)

    def heartbeat(
        self, node_id: str, load: NodeLoad, version: int
    ) -> Deferred[Registration | None]:
        """
        See :meth:`IControlPlane.heartbeat`.

        Raises:
            ControlPlaneError: There is no usable answer (in the Deferred).
        """
        message = Heartbeat(**attrs.asdict(load), membership_version=version)
        return Deferred.fromCoroutine(self._heartbeat(node_id, message))

    async def _heartbeat(self, node_id: str, message: Heartbeat) -> Registration | None:
        url = f"{self._url(node_id)}/heartbeat"
        reply = await self._ask("PUT", url, message.to_json())
        if reply.status == NOT_FOUND:
            return None
        return self._registration(reply.read(MembershipAnswer.from_json))

    def leave(self, node_id: str) -> Deferred[None]:
        """
        See :meth:`IControlPlane.leave`.

        Raises:
            ControlPlaneError: There is no usable answer (in the Deferred).
        """
        return Deferred.fromCoroutine(self._leave(node_id))

    async def _leave(self, node_id: str) -> None:
        reply = await self._ask("DELETE", self._url(node_id), None)
        if reply.status != NOT_FOUND:
            reply.read(MembershipAnswer.from_json)

    def report(
        self, node_id: str, held: tuple[ChunkId, ...], gone: tuple[ChunkId, ...]
    ) -> Deferred[None]:
        """
        See :meth:`IControlPlane.report`. A long report is sent in several parts; when
        one fails the earlier ones stand.

        Raises:
            ControlPlaneError: There is no usable answer (in the Deferred).
        """
        return Deferred.fromCoroutine(self._report(node_id, held, gone))

    async def _report(
        self, node_id: str, held: tuple[ChunkId, ...], gone: tuple[ChunkId, ...]
    ) -> None:
        url = f"{self._url(node_id)}/chunks"
        parts = [(part, ()) for part in _cut(held)]
        parts_gone = [((), part) for part in _cut(gone)]
        for here, away in (*parts, *parts_gone):
            reply = await self._ask("PUT", url, ChunkReport(here, away).to_json())
            reply.read(ReportAnswer.from_json)

    def policy(self) -> Deferred[Policy]:
        """
        See :meth:`ISteering.policy`.
        """
        return Deferred.fromCoroutine(self._policy("GET", None))

    def set_policy(self, policy: Policy) -> Deferred[Policy]:
        """
        See :meth:`ISteering.set_policy`.
        """
        return Deferred.fromCoroutine(self._policy("PUT", policy.to_json()))

    async def _policy(self, method: str, message: object) -> Policy:
        reply = await self._ask(method, self._policy_url, message)
        if method == "PUT" and reply.status in {UNAUTHORIZED, FORBIDDEN}:
            raise ControlPlaneError(
                "the control plane takes rules from operators only: PUT them to "
                f"{self._policy_url} with [control_plane_server] admin_token"
            )
        return reply.read(Policy.from_json)

    def order(self, node_id: str, order: Order) -> Deferred[None]:
        """
        See :meth:`ISteering.order`.
        """
        url = f"{self._url(node_id)}/commands"
        return Deferred.fromCoroutine(self._tell("POST", url, order.to_json()))

    def acknowledge(
        self, node_id: str, command_id: str, outcome: Outcome
    ) -> Deferred[None]:
        """
        See :meth:`ISteering.acknowledge`.
        """
        url = f"{self._url(node_id)}/commands/{command_id}"
        return Deferred.fromCoroutine(self._tell("PUT", url, outcome.to_json()))

    async def _tell(self, method: str, url: str, message: object) -> None:
        reply = await self._ask(method, url, message)
        reply.read(order_from_json)

    def orders(self, node_id: str) -> Deferred[tuple[Order, ...]]:
        """
        See :meth:`ISteering.orders`.
        """
        return Deferred.fromCoroutine(self._orders(node_id))

    async def _orders(self, node_id: str) -> tuple[Order, ...]:
        reply = await self._ask("GET", f"{self._url(node_id)}/commands", None)
        return reply.read(_read_orders)

    def _url(self, node_id: str) -> str:
        return f"{self._nodes}/{quote(node_id, safe='')}"

    def _ask(
        self, method: str, url: str, message: object, timeout: float = TIMEOUT
    ) -> Deferred[_Reply]:
        """
        Make one exchange.

        Raises:
            ControlPlaneError: It did not come to an answer (in the Deferred).
        """

        def timed_out(result: object, seconds: float) -> object:
            if isinstance(result, Failure):
                raise ConnectTimeout(f"no answer within {seconds:g} s")
            return result

        exchange = Deferred.fromCoroutine(self._exchange(method, url, message))
        exchange.addTimeout(timeout, self._clock, timed_out)
        exchange.addErrback(_explain)
        return exchange

    async def _exchange(self, method: str, url: str, message: object) -> _Reply:
        response: IResponse = await self._client.request(
            method,
            url,
            headers=self._headers,
            data=None if message is None else encode(message),
            # The token is for this endpoint, not for where it sends us.
            allow_redirects=False,
            unbuffered=True,
            # Only so that it does not take the global one; it is for timeouts of its.
            reactor=self._clock,  # type: ignore[arg-type]
        )
        body = BoundedBody()
        response.deliverBody(body)
        return _Reply(response.code, await body.finished)


def _explain(failure: Failure) -> Failure:
    """
    Turn whatever went wrong on the way into what the caller can act upon.
    """
    if failure.check(ControlPlaneError):
        return failure
    text = str(failure.value) or type(failure.value).__name__
    return Failure(ControlPlaneError(text))


def _read_orders(value: object) -> tuple[Order, ...]:
    return Fields(value).items("commands", MAX_TOLD, order_from_json)


def _cut(chunk_ids: tuple[ChunkId, ...]) -> list[tuple[ChunkId, ...]]:
    """
    Cut a list into parts that fit a request.
    """
    return [
        chunk_ids[start : start + MAX_REPORTED]
        for start in range(0, len(chunk_ids), MAX_REPORTED)
    ]


@implementer(IControlPlane)
class NullControlPlane:
    """
    The control plane of a node that has none: everything is taken, nothing is known.
    """

    def register(self, node: PeerInfo) -> Deferred[Registration]:  # noqa: ARG002
        """
        Answer that there is no membership.
        """
        return succeed(Registration(None, 0))

    def heartbeat(
        self,
        node_id: str,  # noqa: ARG002
        load: NodeLoad,  # noqa: ARG002
        version: int,
    ) -> Deferred[Registration | None]:
        """
        Answer that nothing has changed.
        """
        return succeed(Registration(None, version))

    def watch(self, version: int) -> Deferred[Registration]:  # noqa: ARG002
        """
        Wait for what does not come.
        """
        return Deferred()

    def leave(self, node_id: str) -> Deferred[None]:  # noqa: ARG002
        """
        Let the node go.
        """
        return succeed(None)

    def report(
        self,
        node_id: str,  # noqa: ARG002
        held: tuple[ChunkId, ...],  # noqa: ARG002
        gone: tuple[ChunkId, ...],  # noqa: ARG002
    ) -> Deferred[None]:
        """
        Take no note.
        """
        return succeed(None)
