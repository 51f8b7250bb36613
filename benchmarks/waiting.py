"""
Connections that wait, and small hits that wait for large ones.
"""

import contextlib
import os
import resource
import socket
import threading
from pathlib import Path

from benchmarks import wrk
from benchmarks.hits import SIZES, Server, path_of
from benchmarks.load import resident

SETTLE_SECONDS = 2.0


def allow_descriptors(count: int) -> None:
    """
    Let this process and those that it starts have so many open, or as many as it may.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        count = min(count, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, most))


def idle_kib(server: Server, size: str, count: int) -> float:
    """
    Open connections, read an object once on each and leave them idle.

    Returns:
        What each takes in the server's memory, in KiB.
    """
    host = f"Host: 127.0.0.1:{server.port}"
    request = f"GET {path_of(size)} HTTP/1.1\r\n{host}\r\n\r\n".encode()
    threading.Event().wait(SETTLE_SECONDS)
    before = resident(server.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            address = ("127.0.0.1", server.port)
            connection = stack.enter_context(socket.create_connection(address))
            connection.sendall(request)
            left = SIZES[size]
            while left > 0:
                left -= len(connection.recv(65536))
        threading.Event().wait(SETTLE_SECONDS)
        return (resident(server.pid) - before) / 1024 / count


def _fill(server: Server, path: str, ended: threading.Event) -> None:
    host = f"Host: 127.0.0.1:{server.port}"
    request = f"GET {path} HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request)
        buffer = bytearray(1024 * 1024)
        while connection.recv_into(buffer):
            pass
    ended.set()


def p99_while_filling(
    servers: dict[str, Server], root: Path, large: str, rounds: int, seconds: int
) -> dict[str, list[float]]:
    """
    Ask for 4 KiB with 64 clients while an object that nobody holds is read.

    Returns:
        The 99th percentile of latencies by server, one for each round, in seconds.
    """
    found: dict[str, list[float]] = {name: [] for name in servers}
    for turn in range(rounds):
        for name, server in servers.items():
            fresh = f"{path_of(large)}-{turn}"
            link = Path(f"{root}{fresh}")
            if not link.exists():
                os.link(f"{root}{path_of(large)}", link)
            ended = threading.Event()
            filling = threading.Thread(target=_fill, args=(server, fresh, ended))
            filling.start()
            run = wrk.run(server.port, path_of("4 KiB"), 64, seconds)
            whole = "all of the time" if not ended.is_set() else "part of the time"
            filling.join()
            found[name].append(run.p99)
            print(f"  {name}: p99 {run.p99 * 1e3:.2f} ms, filling {whole}", flush=True)
    return found
