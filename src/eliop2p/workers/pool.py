"""
The worker processes of a node.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorFDSet,
    IReactorProcess,
    IReactorTime,
)
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from eliop2p.model.chunk import ObjectId
from eliop2p.model.span import FileSpan
from eliop2p.workers.board import make_board
from eliop2p.workers.channel import Channel, make_pair
from eliop2p.workers.lending import Lending, Used
from eliop2p.workers.messages import DIALECT
from eliop2p.workers.process import Ended, WorkerProcess

CHECK_SECONDS = 1.0
"""
How often workers are asked whether they live.
"""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
"""
How long to wait before a worker that ended is replaced: longer each time, in seconds.
"""

STEADY_SECONDS = 60.0
"""
After how long a worker that lives is no reason to wait any more when it ends.
"""

STOP_SECONDS = 5.0
"""
How long workers may take to end when the node does.
"""

_log = Logger()


class Spawn(Protocol):
    """
    Starts a worker process.
    """

    def __call__(self, protocol: ProcessProtocol, channel: int, board: int) -> object:
        """
        Start it.

        Args:
            protocol: Is told of it.
            channel: The descriptor that it gets as its end of the channel.
            board: That of the memory that is shared with it.
        """


def spawn_with(reactor: IReactorProcess) -> Spawn:
    """
    Start worker processes with the interpreter that runs the node.
    """

    def spawn(protocol: ProcessProtocol, channel: int, board: int) -> object:
        return reactor.spawnProcess(
            protocol,
            sys.executable,
            # -P: what lies in the working directory is not ours.
            [sys.executable, "-P", "-m", "eliop2p.workers", str(DIALECT)],
            os.environ,
            childFDs={0: "w", 1: "r", 2: "r", 3: channel, 4: board},
        )

    return spawn


class Workers(Service):
    """
    Keeps a number of worker processes, and gives work to that which has least to do.

    Attributes:
        here: Bytes that the node itself is sending, of those that a worker could.
        restarts: How many workers had to be replaced.
        kept: Connections that could be lent, and stay with the node, which has to have
            something to do as well.
    """

    name = "workers"

    def __init__(
        self,
        count: int,
        spawn: Spawn,
        reactor: IReactorFDSet,
        clock: IReactorTime,
        *,
        bounds: Sequence[float],
    ) -> None:
        """
        Args:
            count: How many.
            spawn: Starts one.
            reactor: Watches the channels to them.
            clock: For pauses and silence.
            bounds: By how many seconds answers of workers are sorted.
        """
        self.here = 0
        self.restarts = 0
        self.kept: set[object] = set()
        self._count = count
        self._spawn = spawn
        self._reactor = reactor
        self._clock = clock
        self._bounds = bounds
        self._processes: list[WorkerProcess] = []
        self._sent_before = 0
        self._answered_before = 0
        self._pause = FIRST_PAUSE
        self._pauses: list[IDelayedCall] = []
        self._checking = LoopingCall(self._check)
        self._checking.clock = clock
        self._all_gone: Deferred[None] | None = None
        self._told: Callable[[Used], None] | None = None

    @property
    def ready(self) -> int:
        """
        How many workers can be given work.
        """
        return sum(process.ready for process in self._processes)

    @property
    def answered(self) -> int:
        """
        Requests that workers have answered by what they were lent.
        """
        return self._answered_before + sum(
            process.lending.answered for process in self._processes
        )

    @property
    def sent(self) -> int:
        """
        Bytes that workers have sent, those that are gone included.
        """
        return self._sent_before + sum(process.sent for process in self._processes)

    def startService(self) -> None:
        """
        Start the workers.
        """
        super().startService()
        for _ in range(self._count):
            self._start_one()
        self._checking.start(CHECK_SECONDS, now=False)

    def stopService(self) -> "Deferred[None]":
        """
        End the workers.

        Returns:
            Fires when they have.
        """
        super().stopService()
        self._checking.stop()
        for pause in self._pauses:
            if pause.active():
                pause.cancel()
        self._all_gone = all_gone = Deferred[None]()
        for process in self._processes:
            process.dismiss()
        late = self._clock.callLater(STOP_SECONDS, self._kill)
        self._tell_if_all_gone()

        def gone(_result: None) -> None:
            if late.active():
                late.cancel()

        return all_gone.addCallback(gone)

    def carry(
        self,
        client: int,
        spans: Sequence[FileSpan],
        ended: Callable[[Ended], None],
    ) -> Callable[[], None] | None:
        """
        Have a worker send bytes, unless the node itself has less to do than any.

        Args:
            client: See :meth:`WorkerProcess.carry`.
            spans: As well.
            ended: As well.

        Returns:
            What stops it again, or None when the node is to send them itself.
        """
        ready = [process for process in self._processes if process.ready]
        idlest = min(ready, key=lambda process: process.load, default=None)
        if idlest is None or idlest.load > self.here:
            return None
        ticket = idlest.carry(client, spans, ended)
        if ticket is None:
            return None
        return lambda: idlest.stop(ticket)

    def lendings(self) -> list[Lending]:
        """
        Give the accounts of the workers that can be lent something.
        """
        return [process.lending for process in self._processes if process.ready]

    def revoke(self, record_id: ObjectId) -> None:
        """
        Let no worker answer for an object by what it has been lent.
        """
        for process in self._processes:
            process.lending.revoke(record_id)

    def collect_with(self, told: Callable[[Used], None]) -> None:
        """
        Have somebody told what workers have answered, before it is forgotten.
        """
        self._told = told

    def collect(self) -> None:
        """
        Tell of what they have answered by now.
        """
        for process in self._processes:
            self._collect(process.lending)

    # --- inside

    def _collect(self, lending: Lending) -> None:
        if self._told is not None:
            self._told(lending.collect())

    def _start_one(self) -> None:
        """
        Start a worker, now or after a pause when the machine does not let it.
        """
        try:
            self._processes.append(self._make_one())
        except OSError as error:
            _log.warn("A worker cannot be started: {error}", error=error)
            self._start_later()

    def _make_one(self) -> WorkerProcess:
        ours, theirs = make_pair()
        with ours, theirs:
            board, memory = make_board()
            try:
                board.set_bounds(self._bounds)
                process = WorkerProcess(board, self._clock.seconds, self._ended)
                self._spawn(process, theirs.fileno(), memory)
            finally:
                os.close(memory)
            end = ours.dup()
        process.use(Channel(end, self._reactor, process.received, process.lost))
        return process

    def _ended(self, process: WorkerProcess) -> None:
        self._processes.remove(process)
        self._collect(process.lending)
        self._sent_before += process.sent
        self._answered_before += process.lending.answered
        if not self.running:
            self._tell_if_all_gone()
            return
        self.restarts += 1
        if self._clock.seconds() - process.born > STEADY_SECONDS:
            self._pause = FIRST_PAUSE
        _log.warn("A worker has ended, the next starts in {pause} s", pause=self._pause)
        self._start_later()

    def _start_later(self) -> None:
        self._pauses = [pause for pause in self._pauses if pause.active()]
        self._pauses.append(self._clock.callLater(self._pause, self._start_one))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _check(self) -> None:
        now = self._clock.seconds()
        for process in self._processes:
            process.check(now)

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()

    def _tell_if_all_gone(self) -> None:
        all_gone = self._all_gone
        if all_gone is not None and not self._processes:
            self._all_gone = None
            all_gone.callback(None)
