"""
The log of a plugin. twist and twistd begin logging after the plugin has made its
service, each in its own way; both can be told beforehand how.
"""

import sys
from typing import TextIO, cast

from twisted.application.service import IServiceCollection, MultiService
from twisted.logger import ILogObserver, LogLevel
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from twisted.python.usage import Options

from eliop2p.base.logger import LEVELS, file_observer, level_observer

TWISTD_LOG = "twistd.log"
ROTATE_LENGTH = 64 * 1024 * 1024
ROTATED_FILES = 5


class _ObservedService(MultiService):
    """
    A top service that brings the log observer of its application, which is where
    twistd looks for one.
    """

    def __init__(self, observer: ILogObserver) -> None:
        super().__init__()
        self._observer = observer

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """
        Join the application.
        """
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)


def logged_service(options: Options, level: str, log_format: str) -> MultiService:
    """
    Make the top service of a plugin, with its log written our way wherever twist or
    twistd was told to write it. For makeService.

    ``twist --log-level`` goes before the configuration, ``twist --log-format`` decides
    what ``auto`` is; ``twistd --logger`` and ``--syslog`` stay as they are.

    Args:
        options: The plugin's options, as makeService gets them.
        level: A name in :data:`eliop2p.base.logger.LEVELS`.
        log_format: ``text``, ``json`` or ``auto``.
    """
    runner = getattr(options, "parent", None)
    if runner is None:
        return MultiService()
    if "fileLogObserverFactory" in runner:
        _instruct_twist(runner, level, log_format)
        return MultiService()
    if runner.get("logger") or runner.get("syslog"):
        return MultiService()
    stream = _twistd_stream(runner.get("logfile"), nodaemon=bool(runner["nodaemon"]))
    return _ObservedService(level_observer(file_observer(stream, log_format), level))


def _instruct_twist(runner: Options, level: str, log_format: str) -> None:
    """
    Replace what twist makes its observer with, and the level it filters by.
    """
    if log_format == "auto":
        log_format = runner["logFormat"]
    runner["fileLogObserverFactory"] = lambda stream: file_observer(stream, log_format)
    if runner["logLevel"] is LogLevel.info:
        runner["logLevel"] = LEVELS[level]


def _twistd_stream(name: str | None, *, nodaemon: bool) -> TextIO:
    """
    Open what twistd would write to, in pieces of a bounded number and size.
    """
    if name == "-" and not nodaemon:
        sys.exit("Daemons cannot log to stdout, exiting!")
    if name == "-" or (nodaemon and not name):
        return sys.stdout
    log = LogFile.fromFullPath(
        name or TWISTD_LOG, rotateLength=ROTATE_LENGTH, maxRotatedFiles=ROTATED_FILES
    )
    return cast("TextIO", log)
