"""
Hits beside those of nginx (``proxy_cache`` and ``slice``) and Varnish.
"""

import statistics
from collections.abc import Callable
from pathlib import Path

import attrs

from benchmarks import wrk
from benchmarks.hit_path import node_settings
from benchmarks.load import Load, cpu_seconds, measure, measure_for
from benchmarks.peers import Nginx, Varnish
from eliop2p.cli.local_cluster import LocalNode

KIB, MIB = 1024, 1024 * 1024

SIZES = {
    "4 KiB": 4 * KIB,
    "64 KiB": 64 * KIB,
    "1 MiB": MIB,
    "64 MiB": 64 * MIB,
    "1 GiB": 1024 * MIB,
}

SMALL = 64 * KIB
"""
Up to this size what counts is the cost of a request, beyond that of a byte.
"""

OURS, PASSING, NGINX, VARNISH = "ElioP2P", "passthrough", "nginx slice", "Varnish"


@attrs.frozen
class Server:
    """
    Something that answers.

    Attributes:
        port: Where on loopback.
        pid: What its processor time is read of.
        stop: Ends it.
    """

    port: int
    pid: int
    stop: Callable[[], object]


@attrs.frozen
class Row:
    """
    What was measured of one server with one kind of load.

    Attributes:
        size: The object's.
        connections: How many at one time.
        server: Its name.
        costs: Of each round: microseconds of CPU per request up to :data:`SMALL`,
            seconds of CPU per 10^9 bytes beyond.
        rates: Of each round: requests per second, or 10^9 bytes per second.
    """

    size: str
    connections: int
    server: str
    costs: tuple[float, ...]
    rates: tuple[float, ...]

    @property
    def cost(self) -> float:
        """
        The median.
        """
        return statistics.median(self.costs)


def path_of(size: str) -> str:
    """
    Name the object of a size.
    """
    return f"/bench/{size.replace(' ', '-')}"


def make_objects(root: Path, sizes: list[str]) -> None:
    """
    Write the objects for the store to serve.
    """
    (root / "bench").mkdir(parents=True)
    with Path("/dev/urandom").open("rb") as noise:
        for size in sizes:
            with Path(f"{root}{path_of(size)}").open("wb") as file:
                file.writelines(
                    noise.read(min(MIB, SIZES[size] - start))
                    for start in range(0, SIZES[size], MIB)
                )


def start_node(
    directory: Path, store: int, memory_mib: int, proxy: dict[str, object]
) -> Server:
    """
    Start a node in a directory of its own.
    """
    directory.mkdir()
    settings = node_settings(directory, store, memory_mib)
    settings["proxy"] |= proxy
    node = LocalNode("node", directory, settings)
    node.start()
    node.wait_ready()
    return Server(int(node.url.rpartition(":")[2]), node.pid, node.stop)


OPEN: dict[str, object] = {"auth": "open", "freshness_seconds": 86400}
"""
What nginx and Varnish do: nobody is asked, and nothing is asked again for a day.
"""


def start_servers(
    servers: dict[str, Server], directory: Path, store: int, memory_mib: int
) -> None:
    """
    Start all that are compared; says which are not there.

    Args:
        servers: Where they are put, so that whatever happens they can be stopped.
        directory: Where they keep what they need.
        store: The port of the store that they stand in front of.
        memory_mib: How much memory those have that keep objects in it.
    """
    more: dict[str, object] = {"max_connections": 8192}
    servers[OURS] = start_node(directory / "open", store, memory_mib, OPEN | more)
    servers[PASSING] = start_node(directory / "passing", store, memory_mib, more)
    nginx = Nginx(directory, None, store)
    servers[NGINX] = Server(nginx.port, nginx.pid, nginx.stop)
    try:
        varnish = Varnish(directory, store, memory_mib)
    except FileNotFoundError as error:
        print(f"skipped: {error}")
    else:
        servers[VARNISH] = Server(varnish.port, varnish.pid, varnish.stop)


def _once(
    server: Server, size: str, connections: int, seconds: int
) -> tuple[float, float]:
    if SIZES[size] > SMALL:
        load = Load(server.port, path_of(size), connections, 0)
        sample = measure_for(load, server.pid, seconds)
        return sample.cpu / sample.gigabytes, sample.gigabytes / sample.wall
    before = cpu_seconds(server.pid)
    run = wrk.run(server.port, path_of(size), connections, seconds)
    cpu = cpu_seconds(server.pid) - before
    return 1e6 * cpu / run.requests, run.requests / run.seconds


def compare(
    servers: dict[str, Server],
    sizes: list[str],
    connections: list[int],
    rounds: int,
    seconds: int,
) -> list[Row]:
    """
    Measure every server with every load, in turn.
    """
    rows: list[Row] = []
    for size in sizes:
        if SIZES[size] <= SMALL and not wrk.available():
            print(f"skipped: {size}; wrk is not installed: apt-get install wrk")
            continue
        for server in servers.values():
            for _ in range(2):
                measure(Load(server.port, path_of(size), 1, 1), server.pid)
        for count in connections:
            rows += _in_turn(servers, size, count, rounds, seconds)
            show(rows[-len(servers) :])
    return rows


def _in_turn(
    servers: dict[str, Server], size: str, count: int, rounds: int, seconds: int
) -> list[Row]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            found[name].append(_once(server, size, count, seconds))
    rows = []
    for name, values in found.items():
        costs, rates = zip(*values, strict=True)
        rows.append(Row(size, count, name, costs, rates))
    return rows


def show(rows: list[Row]) -> None:
    """
    Print what came of one load.
    """
    (nginx,) = [row.cost for row in rows if row.server == NGINX]
    small = SIZES[rows[0].size] <= SMALL
    unit, rate = ("us/request", "requests/s") if small else ("CPU-s/GB", "GB/s")
    print(f"{rows[0].size}, {rows[0].connections} connections:")
    for row in rows:
        noise = f"({min(row.costs):.3g}..{max(row.costs):.3g})"
        print(
            f"  {row.server:12} {row.cost:7.3g} {unit} {noise:16} "
            f"{statistics.median(row.rates):8.3g} {rate}   "
            f"nginx / this {nginx / row.cost:.2f}",
            flush=True,
        )
