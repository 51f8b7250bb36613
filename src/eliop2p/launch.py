"""
What the command lines of a node and of a control plane have in common.
"""

import sys
from collections.abc import Sequence

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import LoggingFile
from twisted.python.usage import Options, UsageError

from eliop2p.base.errors import StartError
from eliop2p.net.worker import ThreadWorker


class PluginOptions(Options):
    """
    Flags of a plugin; when they are wrong it says what is, and does not bury that under
    the description of all of them.
    """

    _wrong = False

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802
        """
        Read a command line.

        Raises:
            UsageError: Something in it is wrong.
        """
        try:
            super().parseOptions(options)
        except UsageError:
            self._wrong = True
            raise

    def getUsage(self, width: int | None = None) -> str:  # noqa: N802
        """
        Describe the flags, or say how to have them described.
        """
        if self._wrong:
            return "--help after the command lists its options.\n"
        return super().getUsage(width)


def start_failure(command: str, error: StartError) -> SystemExit:
    """
    Make what ends a process that cannot start: one line on standard error.

    Args:
        command: The command that was to start.
        error: Why it cannot.
    """
    text = f"{command}: {error}"
    if isinstance(sys.stderr, LoggingFile) and sys.__stderr__ is not None:
        # twistd has put its log in the place of standard error.
        sys.__stderr__.write(f"{text}\n")
    return SystemExit(text)


class ThreadedService(Service):
    """
    A service with its threads; ends the process with one line when it cannot start.
    """

    def __init__(self, command: str, service: IService, worker: ThreadWorker) -> None:
        """
        Args:
            command: What users call the service.
            service: The service.
            worker: The threads.
        """
        self._command = command
        self._service = service
        self._worker = worker

    def startService(self) -> None:
        """
        Start the service, then its threads.

        Raises:
            SystemExit: It cannot start.
        """
        super().startService()
        try:
            self._service.startService()
        except StartError as error:
            raise start_failure(self._command, error) from error
        self._worker.start()

    def stopService(self) -> "Deferred[None]":
        """
        Stop the service, then its threads.
        """
        super().stopService()
        stopping = maybeDeferred(self._service.stopService)
        return stopping.addBoth(lambda _: self._worker.stop())
