"""
How the nodes of a preheat are asked, and how far they are.
"""

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Self
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from eliop2p.cli.preheat_plan import Job, Signed

TIMEOUT = 60.0
"""
Seconds without a byte after which a read has failed.
"""

_MIB = 1024 * 1024
_AT_ONCE = 4096


class Cancelled(Exception):
    """
    The operator wants no more.
    """


class Cancelling:
    """
    Knows whether the operator wants more, and ends at once what is under way if not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = False
        self._open: set[http.client.HTTPConnection] = set()

    @property
    def is_over(self) -> bool:
        """
        Whether nothing more is wanted.
        """
        return self._over

    def cancel(self) -> None:
        """
        Want nothing more.
        """
        with self._lock:
            self._over = True
            sockets = [each.sock for each in self._open if each.sock is not None]
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def connection(self, host: str, port: int) -> Iterator[http.client.HTTPConnection]:
        """
        Connect, until the end of the block or of all.

        Raises:
            Cancelled: Nothing more is wanted, whatever else went wrong.
        """
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        connection.connect()
        with self._lock:
            self._open.add(connection)
        try:
            if self._over:
                raise Cancelled
            yield connection
        except (OSError, http.client.HTTPException):
            if self._over:
                raise Cancelled from None
            raise
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


def have_read(
    job: Job, signed: Signed, progress: "Reading", cancelling: Cancelling
) -> None:
    """
    Have a node read an object. Its bytes stay there; what comes here is one byte for
    each MiB that the node has, and one for the rest.

    Args:
        job: Which.
        signed: What the store would grant: the node is asked in the same words.
        progress: Told of bytes.
        cancelling: Knows whether more is wanted; if not, the node stops, too.

    Raises:
        OSError: The node did not get all of it.
        Cancelled: The operator wants no more.
    """
    parts, target = urlsplit(signed.url), job.target
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    asked = {**signed.headers, "Host": parts.netloc, "X-Elio-Preheat": "1"}
    try:
        with cancelling.connection(target.host, target.port) as connection:
            connection.request("GET", path, headers=asked)
            _follow(job, connection.getresponse(), progress)
    except http.client.HTTPException as error:
        raise OSError(f"the answer makes no sense: {error!r}") from error


def _follow(job: Job, answer: http.client.HTTPResponse, progress: "Reading") -> None:
    """
    Tell of the bytes that a node gets; of those of a read that fails, none.
    """
    size, told = _size_told(answer), 0
    progress.found(job, size)
    try:
        while dots := answer.read1(_AT_ONCE):
            came = min(told + len(dots) * _MIB, size) - told
            progress.got(job, came)
            told += came
    finally:
        if told < size:
            progress.got(job, -told)
    if told < size:
        raise OSError(f"it broke off after {told} of {size} bytes")


def _size_told(answer: http.client.HTTPResponse) -> int:
    """
    Read from the head of an answer how many bytes the node is about to get.

    Raises:
        OSError: It is none that tells.
    """
    if answer.status != http.HTTPStatus.OK:
        said = answer.read(_AT_ONCE).decode("utf-8", "replace")
        code = said.partition("<Message>")[2].partition("</Message>")[0]
        raise OSError(f"{answer.status} {answer.reason} {code}".rstrip())
    size = answer.headers.get("X-Elio-Preheat", "")
    if not (size.isascii() and size.isdecimal()):
        raise OSError("the node's version cannot be told to preheat: update it")
    return int(size)


class Reading:
    """
    Counts what has been read and what has failed, in any thread.

    Attributes:
        failures: What went wrong, by node.
    """

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.failures: dict[str, list[str]] = {}
        self.bytes: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._total = sum(job.thing.size for job in jobs)
        self._task = self._progress.add_task("reading", total=self._total or None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def found(self, job: Job, size: int) -> None:
        """
        A node knows how long an object is, which nobody else may have said.
        """
        if not job.thing.size:
            with self._lock:
                self._total += size
                self._progress.update(self._task, total=self._total)

    def got(self, job: Job, count: int) -> None:
        """
        Some bytes are there; less than none when they are to be had once more.
        """
        with self._lock:
            self.bytes[job.target.node_id] += count
        self._progress.advance(self._task, count)

    def failed(self, job: Job, reason: str) -> None:
        """
        A job has failed.
        """
        with self._lock:
            failures = self.failures.setdefault(job.target.node_id, [])
            failures.append(f"s3://{job.thing.bucket}/{job.thing.key}: {reason}")
