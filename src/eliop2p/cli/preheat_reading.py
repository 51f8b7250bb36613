"""
How the nodes of a preheat are asked, and how far they are.
"""

import http.client
import threading
from collections import Counter
from collections.abc import Sequence
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


def have_read(
    job: Job, signed: Signed, progress: "Reading", cancelled: threading.Event
) -> None:
    """
    Have a node read an object. Its bytes stay there; what comes here is one byte for
    each MiB that the node has, and one for the rest.

    Args:
        job: Which.
        signed: What the store would grant: the node is asked in the same words.
        progress: Told of bytes.
        cancelled: Set when nothing more is wanted; the node then stops, too.

    Raises:
        OSError: The node did not get all of it.
        Cancelled: The operator wants no more.
    """
    parts, target = urlsplit(signed.url), job.target
    connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        asked = {**signed.headers, "Host": parts.netloc, "X-Elio-Preheat": "1"}
        connection.request("GET", path, headers=asked)
        _follow(job, connection.getresponse(), progress, cancelled)
    except http.client.HTTPException as error:
        raise OSError(f"the answer makes no sense: {error!r}") from error
    finally:
        connection.close()


def _follow(
    job: Job,
    answer: http.client.HTTPResponse,
    progress: "Reading",
    cancelled: threading.Event,
) -> None:
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
            if cancelled.is_set():
                raise Cancelled
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
