"""
The credentials file, read again when it changes.
"""

from collections.abc import Callable
from os import stat_result
from pathlib import Path

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from eliop2p.base.clients import Clients
from eliop2p.interfaces import IWorker

LOOK_SECONDS = 2.0
"""
How often the file is looked at: how long a client that has been struck out may go on.
"""

_log = Logger()

_Mark = tuple[int, int, int]


@attrs.frozen
class _Look:
    """
    What was found.

    Attributes:
        mark: What tells one state of the file from another.
        clients: Who stands in it; None when that is the same as before.
        error: Why it cannot be used; empty when it can.
    """

    mark: _Mark
    clients: Clients | None = None
    error: str = ""


class ClientsWatch(Service):
    """
    Knows the clients that stand in the credentials file.

    Attributes:
        clients: Who is known. While the file cannot be used, those who were before.
    """

    name = "clients"

    def __init__(
        self,
        path: Path,
        clients: Clients,
        read: Callable[[Path], Clients],
        worker: IWorker,
        clock: IReactorTime,
    ) -> None:
        """
        Args:
            path: The file.
            clients: Who stood in it at start.
            read: Reads it; blocks, and raises ValueError when it cannot be used.
            worker: Runs what blocks.
            clock: Time.
        """
        self.clients = clients
        self._path = path
        self._read = read
        self._worker = worker
        self._mark: _Mark | None = None
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def startService(self) -> None:
        """
        Begin to look.
        """
        super().startService()
        self._looking.start(LOOK_SECONDS)

    def stopService(self) -> None:
        """
        Look no more.
        """
        if self._looking.running:
            self._looking.stop()
        super().stopService()

    def _look(self) -> "Deferred[None]":
        looked = self._worker.run(self._find, self._mark)
        return looked.addCallbacks(self._found, self._failed)

    def _find(self, known: _Mark | None) -> _Look:
        """
        Look at the file, in a thread.
        """
        try:
            mark = _mark(self._path.stat())
        except OSError as error:
            return _Look((0, 0, 0), None, f"cannot be read: {error.strerror}")
        if mark == known:
            return _Look(mark)
        try:
            return _Look(mark, self._read(self._path))
        except ValueError as error:
            return _Look(mark, None, str(error))

    def _found(self, look: _Look) -> None:
        changed, self._mark = look.mark != self._mark, look.mark
        if look.error and changed:
            _log.error(
                "[proxy] credentials_file = {path} {error}; clients stay as they were",
                path=str(self._path),
                error=look.error,
            )
        elif look.clients is not None and look.clients != self.clients:
            self.clients = look.clients
            _log.info("{count} clients are known", count=len(look.clients))

    def _failed(self, failure: Failure) -> None:
        _log.failure("Looking at the credentials file", failure)


def _mark(found: stat_result) -> _Mark:
    return found.st_ino, found.st_mtime_ns, found.st_size
