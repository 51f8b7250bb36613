"""
A client that costs little: it reads answers and drops them.
"""

import multiprocessing
import os
import socket
import threading
import time
from pathlib import Path

import attrs

_BUFFER = 1024 * 1024
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """
    Give the processor time that a process has used, in seconds.
    """
    with Path(f"/proc/{pid}/stat").open() as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> int:
    """
    Give the memory that a process has resident, in bytes.
    """
    with Path(f"/proc/{pid}/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@attrs.frozen
class Load:
    """
    What to ask for.

    Attributes:
        port: The server on loopback.
        path: The object.
        headers: More request headers, each ending in CRLF.
        connections: How many at one time.
        requests: How many on each connection.
    """

    port: int
    path: str
    connections: int
    requests: int
    headers: str = ""


def read_answer(connection: socket.socket, buffer: bytearray) -> int:
    """
    Read one answer.

    Returns:
        The length of its body.
    """
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError("the server closed")
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 304"):
        return 0
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 206")):
        raise ConnectionError(head[:100].decode())
    lines = head.lower().split(b"\r\n")
    (length,) = [int(x[15:]) for x in lines if x.startswith(b"content-length:")]
    left = length - len(body)
    while left:
        count = connection.recv_into(buffer, min(left, _BUFFER))
        if not count:
            raise ConnectionError("the server closed in the middle")
        left -= count
    return length


def _client(load: Load, done: "multiprocessing.Queue[int]") -> None:
    request = (
        f"GET {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n{load.headers}\r\n"
    ).encode()
    total = [0] * load.connections

    def run(index: int) -> None:
        buffer = bytearray(_BUFFER)
        with socket.create_connection(("127.0.0.1", load.port)) as connection:
            for _ in range(load.requests):
                connection.sendall(request)
                total[index] += read_answer(connection, buffer)

    threads = [
        threading.Thread(target=run, args=(index,)) for index in range(load.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.put(sum(total))


@attrs.frozen
class Sample:
    """
    One run.

    Attributes:
        gigabytes: Body bytes read, in 10^9.
        wall: Seconds it took.
        cpu: Processor seconds of the server.
    """

    gigabytes: float
    wall: float
    cpu: float


def measure(load: Load, pid: int) -> Sample:
    """
    Put a load on a server from a process of its own.

    Args:
        load: What to ask for.
        pid: The server.
    """
    done: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=_client, args=(load, done))
    cpu, wall = cpu_seconds(pid), time.perf_counter()
    process.start()
    total = done.get()
    process.join()
    return Sample(total / 1e9, time.perf_counter() - wall, cpu_seconds(pid) - cpu)
