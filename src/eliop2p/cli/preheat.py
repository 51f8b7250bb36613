"""
``eliop2p preheat``: have nodes read objects before anybody waits for them.
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import attrs
import click
from rich.console import Console

from eliop2p.cli.admin_api import Admin, admin_options, not_a_node
from eliop2p.cli.preheat_plan import Job, Signed, Target, Thing, assign, choose_targets
from eliop2p.cli.preheat_reading import Cancelled, Cancelling, Reading, have_read

if TYPE_CHECKING:
    from eliop2p.cli.preheat_store import StoreAccess

_SHOWN = 10


class Journal:
    """
    What has been done, on disk, so that a preheat that was interrupted goes on. It
    names nodes, objects and versions, and holds nothing that gives access to them.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        self.done: set[str] = set()
        if path.exists():
            self.done = set(path.read_text(encoding="utf-8").splitlines())

    def note(self, job: Job) -> None:
        """
        A job is done.
        """
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(f"{job.name}\n")

    def forget(self) -> None:
        """
        Everything is done, or is to be done anew.
        """
        self._path.unlink(missing_ok=True)
        self.done = set()


@attrs.frozen
class Preheat:
    """
    A preheat that is under way.
    """

    access: "StoreAccess"
    journal: Journal
    reading: Reading
    cancelling: Cancelling

    def do(self, job: Job) -> None:
        """
        Do one job; a failure is noted and tried once more.
        """
        for last in (False, True):
            if self.cancelling.is_over:
                return
            try:
                presigned = Signed(job.thing.url) if job.thing.url else None
                signed = presigned or self.access.sign(job.thing)
                have_read(job, signed, self.reading, self.cancelling)
            except Cancelled:
                return
            except OSError as error:
                if last:
                    self.reading.failed(job, str(error))
            else:
                self.journal.note(job)
                return


def find_targets(admin: Admin) -> tuple[Target, ...]:
    """
    Ask a node for the members of its cluster.

    Raises:
        click.ClickException: There is no usable answer.
    """
    try:
        members = json.loads(admin.ask("/api/v1/status"))["members"]
        return tuple(
            Target(each["node_id"], each["host"], each["proxy_port"], each["zone"])
            for each in members
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise not_a_node(admin) from None


def find_things(access: "StoreAccess", names: Sequence[str]) -> Iterator[Thing]:
    """
    Find the objects that are named by prefixes and presigned URLs.

    Raises:
        click.ClickException: The store does not list them.
        click.BadParameter: A name is neither.
    """
    for name in names:
        if name.startswith(("http://", "https://")):
            bucket, _, key = unquote(urlsplit(name).path).lstrip("/").partition("/")
            yield Thing(bucket, key, "", 0, name)
            continue
        bucket, _, prefix = name.removeprefix("s3://").partition("/")
        if not name.startswith("s3://") or not bucket:
            hint = "give s3://bucket/prefix or a presigned URL"
            raise click.BadParameter(f"{name!r}: {hint}")
        yield from access.list(bucket, prefix)


def journal_path(names: Sequence[str], nodes: str, replicas: int) -> Path:
    """
    Say where a preheat notes what it has done; signatures do not count.
    """
    bare = sorted(name.partition("?")[0] for name in names)
    text = json.dumps([bare, nodes, replicas])
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Path(home).expanduser() / "eliop2p" / f"preheat-{digest}.txt"


@click.command()
@click.argument("names", metavar="s3://BUCKET/PREFIX|URL...", nargs=-1, required=True)
@click.option(
    "--nodes",
    default="all",
    show_default=True,
    metavar="WHICH",
    help="Which nodes: all, a number, P%, zone=Z, or names separated by commas.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many of these nodes get each object whole.",
)
@click.option(
    "--endpoint",
    metavar="URL",
    help="The store; AWS_ENDPOINT_URL and the profile's if not given.",
)
@click.option("--profile", metavar="NAME", help="Profile with the credentials.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="How many objects are read at one time.",
)
@click.option("--restart", is_flag=True, help="Forget what was done before.")
@admin_options
def preheat(
    admin: Admin,
    names: tuple[str, ...],
    *,
    nodes: str,
    replicas: int,
    endpoint: str | None,
    profile: str | None,
    parallel: int,
    restart: bool,
    as_json: bool,
) -> None:
    """
    Have nodes read objects, so that they are there before anybody waits for them.

    The reads are authorised by your own credentials, from the environment or a
    profile, or by presigned URLs; nodes never see the credentials, only signed
    requests, and keep none. The bytes go from the store to the nodes, not through this
    machine. What was done is noted: after an interruption the same command goes on.
    """
    try:
        chosen = choose_targets(nodes, find_targets(admin))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--nodes") from None
    if replicas > len(chosen):
        hint = f"only {len(chosen)} nodes are chosen"
        raise click.BadParameter(hint, param_hint="--replicas")
    # botocore takes half a second to import: not for every command.
    from eliop2p.cli.preheat_store import StoreAccess  # noqa: PLC0415

    access = StoreAccess(endpoint, profile)
    jobs = assign(find_things(access, names), chosen, replicas)
    journal = Journal(journal_path(names, nodes, replicas))
    if restart:
        journal.forget()
    left = [job for job in jobs if job.name not in journal.done]
    failures, count = _run(left, access, journal, parallel)
    _report(jobs, left, failures, count, as_json)
    if failures:
        raise click.ClickException("some objects were not read; run it again")
    journal.forget()


def _run(
    jobs: Sequence[Job], access: "StoreAccess", journal: Journal, parallel: int
) -> tuple[dict[str, list[str]], int]:
    """
    Do all jobs; an interrupt ends them.

    Raises:
        click.Abort: The operator wants no more.
    """
    cancelling = Cancelling()
    with Reading(jobs, Console(stderr=True)) as reading:
        doing = Preheat(access, journal, reading, cancelling)
        with ThreadPoolExecutor(parallel) as pool:
            try:
                for running in [pool.submit(doing.do, job) for job in jobs]:
                    running.result()
            except KeyboardInterrupt:
                cancelling.cancel()
                pool.shutdown(cancel_futures=True)
                click.echo("interrupted; the same command goes on", err=True)
                raise click.Abort from None
    return reading.failures, reading.bytes.total()


def _report(
    jobs: Sequence[Job],
    left: Sequence[Job],
    failures: dict[str, list[str]],
    count: int,
    as_json: bool,
) -> None:
    failed = sum(len(each) for each in failures.values())
    done = {
        "objects": len({job.thing.name for job in jobs}),
        "copies": len(jobs),
        "before": len(jobs) - len(left),
        "read": len(left) - failed,
        "failed": failed,
        "bytes": count,
        "failures": failures,
    }
    if as_json:
        click.echo(json.dumps(done, indent=2))
        return
    click.echo(
        f"{done['objects']} objects, {len(jobs)} copies: {done['before']} were there, "
        f"{done['read']} read, {failed} failed"
    )
    for node_id, reasons in sorted(failures.items()):
        for reason in reasons[:_SHOWN]:
            click.echo(f"{node_id}: {reason}", err=True)
        if len(reasons) > _SHOWN:
            click.echo(f"{node_id}: and {len(reasons) - _SHOWN} more", err=True)
