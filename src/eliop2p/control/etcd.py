"""
etcd as the control plane: members are keys that live as long as their node's lease.

===========================  =====================================================
``PREFIX/nodes/ID``          what members know of a node; under its lease
``PREFIX/load/ID``           how it is doing, written now and then; under its lease
``PREFIX/adjuster``          who adjusts the replication; under that node's lease
``PREFIX/replication``       the policy
``PREFIX/commands/ID/NAME``  what a node is to do, until it is acknowledged
===========================  =====================================================
"""

import math
from collections.abc import Iterable
from urllib.parse import quote

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.etcd_gateway import Entry, EtcdGateway, LeaseLost, Watched
from eliop2p.control.fields import BadMessage, decode, encode
from eliop2p.control.messages import node_from_json, node_to_json
from eliop2p.control.orders import MAX_TOLD, Order, Outcome, order_from_json
from eliop2p.control.policy import Policy
from eliop2p.control.steering import ISteering
from eliop2p.interfaces import IControlPlane, NodeLoad, Registration
from eliop2p.model.chunk import ChunkId
from eliop2p.model.peer import Membership, PeerInfo

PREFIX = "/eliop2p"
_NODES = f"{PREFIX}/nodes/"
_ADJUSTER = f"{PREFIX}/adjuster"
_POLICY = f"{PREFIX}/replication"

WATCH_SECONDS = 30.0
"""
How long a question for a newer membership waits.
"""

SETTLE = 0.2
"""
Seconds for which what follows a change is waited for, to be told along with it.
"""

LOAD_EVERY = 10
"""
Heartbeats from one writing of the load to the next: each is a write to every member's
disk, and only people read it.
"""

_log = Logger()


def apply_entries(
    membership: Membership, entries: Iterable[Entry], revision: int
) -> Membership:
    """
    Bring a membership up to date. What is no node is left out: others may have written
    it.
    """
    peers = dict(membership.peers)
    for entry in entries:
        if not entry.value:
            known = [node_id for node_id in peers if _node_key(node_id) == entry.key]
            for node_id in known:
                del peers[node_id]
            continue
        try:
            node = node_from_json(decode(entry.value))
        except BadMessage as error:
            _log.warn("{key} in etcd is no node: {error}", key=entry.key, error=error)
            continue
        if _node_key(node.node_id) == entry.key:
            peers[node.node_id] = node
    return Membership(revision, peers)


def lease_seconds(interval: float) -> int:
    """
    Tell how long a lease lasts with a heartbeat interval: three may be missed, and a
    cluster of etcd takes some seconds to elect a leader.
    """
    return max(10, math.ceil(3 * interval))


def _node_key(node_id: str) -> str:
    return _NODES + quote(node_id, safe="")


def _commands_key(node_id: str) -> str:
    return f"{PREFIX}/commands/{quote(node_id, safe='')}/"


@implementer(IControlPlane, ISteering)
class EtcdControlPlane:
    """
    A cluster of etcd as a node's control plane.

    The version of a membership is etcd's revision at which it was read. Chunks are not
    reported: their homes know them.

    Args:
        gateway: The way to etcd.
        clock: Measures waits.
        lease_seconds: How long a node is a member without a heartbeat.
    """

    def __init__(
        self, gateway: EtcdGateway, clock: IReactorTime, lease_seconds: int
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._lease = 0
        self._beats = 0
        self._known = Membership(0, {})

    def register(self, node: PeerInfo) -> Deferred[Registration]:
        """
        See :meth:`IControlPlane.register`.
        """
        return Deferred.fromCoroutine(self._register(node))

    def heartbeat(
        self,
        node_id: str,
        load: NodeLoad,
        version: int,
    ) -> Deferred[Registration | None]:
        """
        See :meth:`IControlPlane.heartbeat`.
        """
        return Deferred.fromCoroutine(self._heartbeat(node_id, load, version))

    def leave(self, node_id: str) -> Deferred[None]:  # noqa: ARG002
        """
        See :meth:`IControlPlane.leave`.
        """
        lease, self._lease = self._lease, 0
        return Deferred.fromCoroutine(self._gateway.revoke(lease))

    def report(
        self,
        node_id: str,  # noqa: ARG002
        held: tuple[ChunkId, ...],  # noqa: ARG002
        gone: tuple[ChunkId, ...],  # noqa: ARG002
    ) -> Deferred[None]:
        """
        Tell nobody: etcd is no place for a million chunks that come and go.
        """
        done = Deferred[None]()
        done.callback(None)
        return done

    def watch(self, version: int) -> Deferred[Registration]:
        """
        See :meth:`IControlPlane.watch`.
        """
        return Deferred.fromCoroutine(self._watch(version))

    def policy(self) -> Deferred[Policy]:
        """
        See :meth:`ISteering.policy`.
        """
        return Deferred.fromCoroutine(self._policy())

    def set_policy(self, policy: Policy) -> Deferred[Policy]:
        """
        See :meth:`ISteering.set_policy`. The version of a policy is the revision at
        which it was written.
        """
        return Deferred.fromCoroutine(self._set_policy(policy))

    def order(self, node_id: str, order: Order) -> Deferred[None]:
        """
        See :meth:`ISteering.order`.
        """
        key = _commands_key(node_id) + order.command_id
        return Deferred.fromCoroutine(self._order(key, order))

    def orders(self, node_id: str) -> Deferred[tuple[Order, ...]]:
        """
        See :meth:`ISteering.orders`.
        """
        return Deferred.fromCoroutine(self._orders(node_id))

    def acknowledge(
        self, node_id: str, command_id: str, outcome: Outcome
    ) -> Deferred[None]:
        """
        See :meth:`ISteering.acknowledge`. A command that has ended is taken away; the
        node's log has its outcome.
        """
        _log.info(
            "command {command_id} is {state}: {detail}",
            command_id=command_id,
            state=outcome.state.value,
            detail=outcome.detail,
        )
        key = _commands_key(node_id) + command_id
        return Deferred.fromCoroutine(self._gateway.delete(key))

    # --- membership

    async def _register(self, node: PeerInfo) -> Registration:
        if self._lease:
            try:
                await self._gateway.keep_alive(self._lease)
            except LeaseLost:
                self._lease = 0
        if not self._lease:
            self._lease = await self._gateway.grant(self._lease_seconds)
        document = encode(node_to_json(node))
        await self._gateway.put(_node_key(node.node_id), document, self._lease)
        return await self._read_members(node.node_id)

    async def _read_members(self, node_id: str) -> Registration:
        found = await self._gateway.find(_NODES)
        empty = Membership(0, {})
        self._known = apply_entries(empty, found.entries, found.revision)
        adjusts = bool(node_id) and await self._campaign(node_id)
        return Registration(self._known, found.revision, adjusts=adjusts)

    async def _heartbeat(
        self, node_id: str, load: NodeLoad, version: int
    ) -> Registration | None:
        try:
            await self._gateway.keep_alive(self._lease)
            self._beats += 1
            if self._beats % LOAD_EVERY == 1:
                document = encode(attrs.asdict(load))
                key = f"{PREFIX}/load/{quote(node_id, safe='')}"
                await self._gateway.put(key, document, self._lease)
            if version != self._known.version:
                return await self._read_members(node_id)
            adjusts = await self._campaign(node_id)
        except LeaseLost:
            self._lease = 0
            return None
        waiting = await self._gateway.find(_commands_key(node_id))
        return Registration(None, version, len(waiting.entries), adjusts)

    async def _campaign(self, node_id: str) -> bool:
        """
        Become the adjuster if there is none.

        Returns:
            Whether the node is it.
        """
        held = await self._gateway.read(_ADJUSTER)
        if held is not None:
            return held[0] == node_id.encode()
        return await self._gateway.create(_ADJUSTER, node_id.encode(), self._lease)

    async def _watch(self, version: int) -> Registration:
        if version != self._known.version:
            return await self._read_members("")
        seen = await self._follow(version)
        if any(watched.compacted for watched in seen):
            return await self._read_members("")
        for watched in seen:
            self._known = apply_entries(self._known, watched.entries, watched.revision)
        return Registration(self._known if seen else None, self._known.version)

    async def _follow(self, version: int) -> list[Watched]:
        """
        Wait until something happens, and a little longer for what follows it.
        """
        seen: list[Watched] = []
        following: Deferred[None] = Deferred()

        def take(watched: Watched) -> None:
            if not watched.compacted and not watched.entries:
                return
            if not seen:
                self._clock.callLater(SETTLE, following.cancel)
            seen.append(watched)

        watching = self._gateway.watch(_NODES, version + 1, take)
        following = Deferred.fromCoroutine(watching)
        following.addTimeout(WATCH_SECONDS, self._clock, _waited_enough)
        try:
            await following
        except CancelledError:
            if not seen:
                raise
        return seen

    # --- replication

    async def _policy(self) -> Policy:
        held = await self._gateway.read(_POLICY)
        if held is None:
            return Policy()
        try:
            return attrs.evolve(Policy.from_json(decode(held[0])), version=held[1])
        except BadMessage as error:
            raise ControlPlaneError(f"{_POLICY} in etcd: {error}") from error

    async def _set_policy(self, policy: Policy) -> Policy:
        document = encode(policy.to_json())
        if not await self._gateway.replace(_POLICY, document, policy.version):
            raise ControlPlaneError("the policy has been changed meanwhile: try again")
        return await self._policy()

    async def _order(self, key: str, order: Order) -> None:
        await self._gateway.create(key, encode(order.to_json()), 0)

    async def _orders(self, node_id: str) -> tuple[Order, ...]:
        found = await self._gateway.find(_commands_key(node_id))
        orders = []
        for entry in found.entries[:MAX_TOLD]:
            try:
                orders.append(order_from_json(decode(entry.value)))
            except BadMessage as error:
                _log.warn("{key} in etcd: {error}", key=entry.key, error=error)
                await self._gateway.delete(entry.key)
        return tuple(orders)


def _waited_enough(result: object, seconds: float) -> object:
    if isinstance(result, Failure) and not result.check(ConnectTimeout, CancelledError):
        return result
    del seconds
    return None
