"""
How log lines look and where they go: text for people, JSON for machines, and never a
signature or token in either.
"""

import json
import math
from datetime import UTC, datetime
from typing import TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogBeginner,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
)
from twisted.python.failure import Failure

from eliop2p.base.redaction import redact

LEVELS = {
    "DEBUG": LogLevel.debug,
    "INFO": LogLevel.info,
    "WARNING": LogLevel.warn,
    "ERROR": LogLevel.error,
}
"""
Twisted's levels by the names of ``[general] log_level``.
"""

_LEVEL_NAMES = {level: name for name, level in LEVELS.items()} | {
    LogLevel.critical: "CRITICAL"
}

# What Twisted's legacy log module adds to events: said once already by other fields.
_LEGACY_FIELDS = frozenset(
    {"failure", "format", "isError", "message", "system", "time", "why"}
)


def _level_name(event: LogEvent) -> str:
    return _LEVEL_NAMES.get(event.get("log_level"), "INFO")


def _moment(event: LogEvent, timespec: str) -> str:
    """
    Give the time of an event in UTC, as RFC 3339 has it.
    """
    moment = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def _message(event: LogEvent) -> str:
    return redact(formatEvent(event))


def _traceback(event: LogEvent) -> str:
    """
    Give the traceback of an event, empty when it has none.
    """
    failure = event.get("log_failure")
    return redact(failure.getTraceback()) if isinstance(failure, Failure) else ""


def format_text(event: LogEvent) -> str | None:
    """
    Write an event as a line for people; a traceback follows, indented, and nothing
    that a message contains can look like another line.

    Returns:
        None for an event that says nothing.
    """
    message = _message(event).strip("\n")
    traceback = _traceback(event).rstrip()
    if not message and not traceback:
        return None
    line = message.replace("\r", "\\r").replace("\n", "\\n")
    namespace = event.get("log_namespace", "-")
    head = f"{_moment(event, 'seconds')} {_level_name(event):<5} {namespace}: {line}"
    below = "".join(f"\n    {row}" for row in traceback.splitlines())
    return f"{head}{below}\n"


def _plain(value: object) -> str | int | float | bool | None:
    """
    Give a field as JSON can hold it, without what must not be read.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return redact(str(value))


def format_json(event: LogEvent) -> str | None:
    """
    Write an event as one JSON object on one line: time, level, namespace, event (the
    same for all events of a kind), message, and the event's fields beside them.

    Returns:
        None for an event that says nothing.
    """
    message, traceback = _message(event), _traceback(event)
    if not message and not traceback:
        return None
    line = {
        name: _plain(value)
        for name, value in event.items()
        if not name.startswith("log_") and name not in _LEGACY_FIELDS
    }
    line |= {
        "time": _moment(event, "milliseconds"),
        "level": _level_name(event),
        "namespace": event.get("log_namespace", "-"),
        "event": redact(str(event.get("log_format", ""))),
        "message": message,
    }
    if traceback:
        line["traceback"] = traceback
    return json.dumps(line) + "\n"


def file_observer(stream: TextIO, log_format: str) -> FileLogObserver:
    """
    Make an observer that writes every event.

    Args:
        stream: Where to; flushed after each line. One without isatty is no terminal.
        log_format: ``text``, ``json``, or ``auto``: text on a terminal, else JSON.
    """
    if log_format == "auto":
        log_format = "text" if getattr(stream, "isatty", bool)() else "json"
    return FileLogObserver(stream, format_text if log_format == "text" else format_json)


def level_observer(observer: ILogObserver, level: str) -> FilteringLogObserver:
    """
    Make an observer that passes on what is severe enough.

    Args:
        observer: What takes the events.
        level: A name in :data:`LEVELS`.
    """
    predicate = LogLevelFilterPredicate(defaultLogLevel=LEVELS[level])
    return FilteringLogObserver(observer, [predicate])


def start_logging(
    level: str,
    log_format: str,
    stream: TextIO,
    beginner: LogBeginner = globalLogBeginner,
) -> None:
    """
    Begin to log, in a program that runs the reactor itself; what was logged before is
    written first. Plugins of twist and twistd use
    :func:`eliop2p.base.runner_log.logged_service` instead.

    Args:
        level: A name in :data:`LEVELS`.
        log_format: ``text``, ``json`` or ``auto``.
        stream: Where to.
        beginner: Starts the logging; the process's own.
    """
    observer = level_observer(file_observer(stream, log_format), level)
    beginner.beginLoggingTo([observer], redirectStandardIO=False)
