"""
Carries out what the control plane tells a node to do.
"""

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.base.errors import ControlPlaneError, ElioError
from eliop2p.control.orders import ChunkRef, Kind, Order, Outcome, State
from eliop2p.control.policy import split_prefix
from eliop2p.control.steering import ISteering
from eliop2p.interfaces import ICatalog, IReplicas, Registration

_MAX_DETAIL = 200
_log = Logger()


class Executor(Service):
    """
    Fetches commands when the control plane says that there are some, and carries them
    out one after the other, at a bounded rate.

    Doing one twice is no harm: a chunk that is held is not moved again, and one that is
    not held cannot be dropped.

    Args:
        node_id: This node.
        steering: Gives the commands.
        replicas: The chunks of this node.
        catalog: Knows where chunks are.
        clock: Measures the rate.
        bytes_per_second: How fast chunks are moved at most.

    Attributes:
        moved: Bytes moved so far.
    """

    def __init__(
        self,
        node_id: str,
        steering: ISteering,
        *,
        replicas: IReplicas,
        catalog: ICatalog,
        clock: IReactorTime,
        bytes_per_second: float,
    ) -> None:
        self.moved = 0
        self._node_id = node_id
        self._steering = steering
        self._replicas = replicas
        self._catalog = catalog
        self._clock = clock
        self._rate = bytes_per_second
        self._working: Deferred[None] | None = None

    def told(self, answer: Registration) -> None:
        """
        Take what the control plane says of this node.
        """
        if answer.commands and self.running and self._working is None:
            self._working = Deferred.fromCoroutine(self._work())
            self._working.addErrback(_failed)
            self._working.addCallback(self._ended)

    def stopService(self) -> None:
        """
        Stop where it is; the control plane gives again what is not acknowledged.
        """
        super().stopService()
        if self._working is not None:
            self._working.cancel()

    def _ended(self, _: None) -> None:
        self._working = None

    async def _work(self) -> None:
        while orders := await self._steering.orders(self._node_id):
            for order in orders:
                outcome = await self._carry_out(order)
                name = order.command_id
                await self._steering.acknowledge(self._node_id, name, outcome)

    async def _carry_out(self, order: Order) -> Outcome:
        done, failed = 0, []
        if order.kind is Kind.REPLICATE and order.prefix:
            bucket, prefix = split_prefix(order.prefix)
            await self._catalog.adopt(bucket.encode(), prefix.encode())
        for ref in order.chunks:
            try:
                done += await self._do(order, ref)
            except ElioError as error:
                failed.append(f"{ref.chunk_id.hex()[:16]}: {error}")
        if not failed:
            return Outcome(State.DONE, done)
        text = f"{len(failed)} of {len(order.chunks)} chunks: {failed[0]}"
        shown = "".join(each for each in text if each.isprintable())[:_MAX_DETAIL]
        _log.warn("command {name} failed: {why}", name=order.command_id, why=shown)
        return Outcome(State.FAILED, done, shown)

    async def _do(self, order: Order, ref: ChunkRef) -> int:
        if order.kind is Kind.REPLICATE:
            moved = await self._replicas.keep(ref.chunk_id, ref.length)
            self.moved += moved
            if moved:
                await deferLater(self._clock, moved / self._rate)
            return moved
        if order.kind is Kind.MIGRATE:
            places = await self._catalog.places((ref.chunk_id,))
            place = places.get(ref.chunk_id)
            if place is None or order.to not in place.holders:
                raise NotTaken(order.to)
        await self._replicas.drop(ref.chunk_id)
        return ref.length


@attrs.define
class NotTaken(ElioError):
    """
    The node that was to take a chunk over does not hold it.
    """

    node_id: str

    def __str__(self) -> str:
        return f"{self.node_id} does not hold it"


def _failed(failure: Failure) -> None:
    """
    Leave the rest until the control plane says again that there are commands.
    """
    if failure.check(ControlPlaneError):
        _log.info("commands wait: {reason}", reason=failure.getErrorMessage())
    elif not failure.check(CancelledError):
        _log.failure("carrying out commands went wrong", failure=failure)
