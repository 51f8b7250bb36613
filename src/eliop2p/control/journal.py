"""
Writing the registry's changes down, behind its back.
"""

import sqlite3
from collections.abc import Iterable

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.control.database import Database
from eliop2p.control.registry import Registry
from eliop2p.interfaces import IWorker

RETRY_SECONDS = 5.0
"""
Time until what could not be written is tried again.
"""

_log = Logger()


class Journal:
    """
    Notes which nodes have changed and writes their current state, one write at a time.

    Nobody waits for it: a node whose registration is lost with the process is told so
    at its next heartbeat. A disk that fails costs the memory of a restart, no more.

    Args:
        registry: Whose changes.
        database: Where they go.
        worker: Where the writing is done.
        clock: Times the next attempt after a failure.

    Attributes:
        failing: Whether the last attempt failed.
    """

    def __init__(
        self,
        registry: Registry,
        database: Database,
        worker: IWorker,
        clock: IReactorTime,
    ) -> None:
        self.failing = False
        self._registry = registry
        self._database = database
        self._worker = worker
        self._clock = clock
        self._lock = DeferredLock()
        self._changed: dict[str, None] = {}
        self._policy_changed = False
        self._due = False
        self._retry: IDelayedCall | None = None

    def note(self, node_id: str) -> None:
        """
        Have a node's current state written soon.
        """
        self._changed[node_id] = None
        self._soon()

    def note_policy(self) -> None:
        """
        Have the policy written soon.
        """
        self._policy_changed = True
        self._soon()

    def note_orders(self) -> None:
        """
        Have what has become of commands written soon.
        """
        self._soon()

    def close(self) -> Deferred[None]:
        """
        Write what is left, if that can be done, and close the database.
        """
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        await self._write()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        async with self._lock:
            await self._worker.run(self._database.close)

    def _soon(self) -> None:
        if not self._due and self._retry is None:
            self._begin()

    def _begin(self) -> None:
        self._retry = None
        self._due = True
        Deferred.fromCoroutine(self._write()).addErrback(self._broken)

    async def _write(self) -> None:
        async with self._lock:
            self._due = False
            book = self._registry.orders
            changed, self._changed = self._changed, {}
            orders, book.changed = book.changed, {}
            policy, self._policy_changed = self._policy_changed, False
            try:
                await self._save(changed, orders, policy)
            except sqlite3.Error as error:
                self._changed = changed | self._changed
                book.changed = orders | book.changed
                self._policy_changed = policy or self._policy_changed
                self._failed(error)
            else:
                self._succeeded()

    async def _save(
        self,
        changed: Iterable[str],
        orders: Iterable[tuple[str, str]],
        policy: bool,
    ) -> None:
        if changed:
            await self._save_nodes(changed)
        if orders:
            await self._save_orders(orders)
        if policy:
            saving = self._database.save_policy
            await self._worker.run(saving, self._registry.policy)

    async def _save_nodes(self, changed: Iterable[str]) -> None:
        members = {node_id: self._registry.find(node_id) for node_id in changed}
        present = [member.saved for member in members.values() if member]
        absent = [node_id for node_id, member in members.items() if not member]
        await self._worker.run(
            self._database.save, self._registry.version, present, absent
        )

    async def _save_orders(self, changed: Iterable[tuple[str, str]]) -> None:
        book = self._registry.orders
        found = {name: book.find(*name) for name in changed}
        # As they are now: a thread must not see them change.
        present = [attrs.evolve(each) for each in found.values() if each]
        absent = [name for name, each in found.items() if not each]
        await self._worker.run(self._database.save_orders, present, absent)

    def _failed(self, error: sqlite3.Error) -> None:
        if not self.failing:
            _log.error(
                "the database cannot be written, a restart would forget: {reason}",
                reason=str(error),
            )
        self.failing = True
        if self._retry is None:
            self._retry = self._clock.callLater(RETRY_SECONDS, self._begin)

    def _succeeded(self) -> None:
        if self.failing:
            _log.info("the database can be written again")
        self.failing = False

    def _broken(self, failure: Failure) -> None:
        _log.failure("writing the database ended unexpectedly", failure=failure)
