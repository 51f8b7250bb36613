"""
``eliop2p demo``: a whole cluster on this machine, and what it saves.
"""

import hashlib
import http.client
import random
import signal
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from eliop2p.base.errors import StartError
from eliop2p.cli.byte_counter import ByteCounter
from eliop2p.cli.local_cluster import LocalCluster, LocalNode, free_ports
from eliop2p.model.chunk import MIB

_BUCKET, _KEY = "demo", "model.bin"
_PIECE = 1 * MIB
_SOURCES = ("memory", "disk", "peer", "origin")

MAX_AMPLIFICATION = 1.02
"""
What the demo holds itself to: bytes read from the store per byte of the object.
"""


@attrs.frozen
class _Result:
    """
    One client's read.

    Attributes:
        digest: SHA-256 of what it got.
        seconds: How long it took.
        error: What went wrong, empty when nothing did.
    """

    digest: str
    seconds: float
    error: str = ""

    def verdict(self, digest: str) -> str:
        """
        Tell in a word whether it got the right bytes.
        """
        return self.error or ("equal" if self.digest == digest else "different")


def _generate(path: Path, size: int) -> str:
    """
    Write an object that cannot be compressed, and give its SHA-256.
    """
    generator, hasher = random.Random(size), hashlib.sha256()  # noqa: S311
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        for _ in range(size // _PIECE):
            piece = generator.randbytes(_PIECE)
            hasher.update(piece)
            file.write(piece)
    return hasher.hexdigest()


def _origin_node(directory: Path) -> LocalNode:
    """
    Make the store of the demo: a node that serves a directory.
    """
    proxy, p2p, admin = free_ports(3)
    return LocalNode(
        "origin",
        directory,
        {
            "general": {
                "node_id": "origin",
                "bind_address": "127.0.0.1",
                "data_dir": directory / "origin",
            },
            "proxy": {"listen_port": proxy},
            "p2p": {"listen_port": p2p},
            "admin": {"listen_port": admin},
            "cache": {"memory_cache_size_mb": 64, "disk_cache_size_mb": 0},
            "storage": {"type": "local", "endpoint": directory / "objects"},
        },
    )


class _Readers:
    """
    One client per node, all reading the object at the same time.
    """

    def __init__(self, nodes: list[LocalNode], size: int, console: Console) -> None:
        self._nodes = nodes
        self._size = size
        self._console = console
        self._results: dict[str, _Result] = {}

    def run(self, title: str) -> dict[str, _Result]:
        """
        Read the object through every node at once, showing progress.
        """
        self._console.print(f"\n[bold]{title}")
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
        )
        silent = not self._console.is_terminal
        with Progress(*columns, console=self._console, disable=silent) as progress:
            threads = [
                threading.Thread(target=self._read, args=(node, progress), daemon=True)
                for node in self._nodes
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return self._results

    def _read(self, node: LocalNode, progress: Progress) -> None:
        task = progress.add_task(node.name, total=self._size)
        hasher, started, error = hashlib.sha256(), time.perf_counter(), ""
        try:
            url = f"{node.url}/{_BUCKET}/{_KEY}"
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
                while piece := answer.read(_PIECE):
                    hasher.update(piece)
                    progress.advance(task, len(piece))
        except (OSError, http.client.HTTPException) as failure:
            error = str(failure)
        seconds = time.perf_counter() - started
        self._results[node.name] = _Result(hasher.hexdigest(), seconds, error)


def _served(node: LocalNode) -> dict[str, int]:
    found = node.status()["served"]
    assert isinstance(found, dict)
    return {source: int(found.get(source, 0)) for source in _SOURCES}


def _report(
    console: Console,
    results: dict[str, _Result],
    served: dict[str, dict[str, int]],
    digest: str,
) -> bool:
    """
    Print who got what from where.

    Returns:
        Whether every client got the right bytes.
    """
    table = Table("node", "sha256", *_SOURCES, "seconds")
    for name, result in sorted(results.items()):
        shares = (f"{served[name][source] / MIB:.0f} MiB" for source in _SOURCES)
        verdict = Text(result.verdict(digest))
        table.add_row(name, verdict, *shares, f"{result.seconds:.2f}")
    console.print(table)
    return all(result.verdict(digest) == "equal" for result in results.values())


def _round(
    console: Console, cluster: LocalCluster, size: int, digest: str, title: str
) -> bool:
    before = {node.name: _served(node) for node in cluster.nodes}
    results = _Readers(cluster.nodes, size, console).run(title)
    served = {
        node.name: {
            source: count - before[node.name][source]
            for source, count in _served(node).items()
        }
        for node in cluster.nodes
    }
    return _report(console, results, served, digest)


@contextmanager
def _running(
    directory: Path, size: int, count: int
) -> Iterator[tuple[LocalCluster, ByteCounter]]:
    """
    Run a store, a counter in front of it, and a cluster that reads through that.
    """
    with ExitStack() as stack:
        origin = _origin_node(directory)
        stack.callback(origin.stop)
        origin.start()
        origin.wait_ready()
        counter = ByteCounter(int(origin.url.rpartition(":")[2]))
        stack.callback(counter.close)
        cluster = LocalCluster(
            directory,
            f"http://127.0.0.1:{counter.port}",
            count,
            {"cache": {"memory_cache_size_mb": max(512, 2 * size // MIB)}},
        )
        stack.callback(cluster.stop)
        cluster.start()
        yield cluster, counter


def _run(console: Console, directory: Path, size: int, count: int, keep: bool) -> bool:
    console.print(f"Generating an object of {size // MIB} MiB ...")
    digest = _generate(directory / "objects" / _BUCKET / _KEY, size)
    console.print(f"Starting a store, a control plane and {count} nodes ...")
    with _running(directory, size, count) as (cluster, counter):
        right = _round(console, cluster, size, digest, "Cold: every node at once")
        cold = counter.sent
        right &= _round(console, cluster, size, digest, "Warm: every node again")
        warm = counter.sent - cold
        console.print(
            f"\nThe store sent [bold]{cold / size:.3f}[/] times the object for the "
            f"cold read of {count} nodes (origin amplification; without a cache: "
            f"{count}.000), and {warm / size:.3f} times for the warm one."
        )
        if keep:
            _keep(console, cluster)
        return right and cold <= MAX_AMPLIFICATION * size


def _keep(console: Console, cluster: LocalCluster) -> None:
    try:
        console.print("\nStill running; end with Ctrl-C. The dashboard of each node:")
        for node in cluster.nodes:
            console.print(f"  {node.name}: {node.admin_url}/")
        console.print("Read through a node, and look again:")
        console.print(f"  curl -so /dev/null {cluster.nodes[0].url}/{_BUCKET}/{_KEY}")
        threading.Event().wait()
    except KeyboardInterrupt:
        console.print("Stopping ...")


@contextmanager
def _orderly() -> Iterator[None]:
    """
    Take SIGTERM for Ctrl-C, and let nothing disturb the cleaning up after either.
    """
    signals = (signal.SIGINT, signal.SIGTERM)

    def ignore(*_: object) -> None:
        # Not SIG_IGN: Python complains of a signal that is under way at that moment.
        return

    def interrupt(*_: object) -> None:
        for each in signals:
            signal.signal(each, ignore)
        raise KeyboardInterrupt

    before = [signal.signal(each, interrupt) for each in signals]
    try:
        yield
    finally:
        for each, action in zip(signals, before, strict=True):
            signal.signal(each, action)


@click.command()
@click.option(
    "--size",
    type=click.IntRange(1, 65536),
    default=256,
    show_default=True,
    help="MiB to read.",
)
@click.option(
    "--nodes",
    type=click.IntRange(1, 32),
    default=3,
    show_default=True,
    help="Nodes to start.",
)
@click.option("--keep", is_flag=True, help="Leave the cluster running afterwards.")
def demo(size: int, nodes: int, keep: bool) -> None:
    """
    Start a cluster on this machine and read an object through all of its nodes.

    Needs no configuration and leaves nothing behind. Ends with status 0 when every
    node gave the right bytes and the store was read once.
    """
    console = Console()
    with _orderly(), tempfile.TemporaryDirectory(prefix="eliop2p-demo-") as directory:
        try:
            good = _run(console, Path(directory), size * MIB, nodes, keep)
        except StartError as error:
            raise click.ClickException(str(error)) from error
    console.print("[green]All as promised." if good else "[red]Not as promised.")
    if not good:
        raise SystemExit(1)
