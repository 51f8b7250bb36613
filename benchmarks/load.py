"""
A client that costs little: it reads answers and drops them.
"""

import multiprocessing
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import attrs

_BUFFER = 1024 * 1024


def cpu_seconds(pid: int) -> float:
    """
    Give the processor time that a process has used, in seconds.
    """
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # A thread that has just ended.
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident(pid: int) -> int:
    """
    Give the memory that a process has resident, in bytes.
    """
    with Path(f"/proc/{pid}/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def most_resident(pid: int) -> int:
    """
    Give the most memory that a process has ever had resident, in bytes.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if "VmHWM" in line)


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


def _read_until(connection: socket.socket, buffer: bytearray, deadline: float) -> int:
    """
    Read one answer, or what of it comes before the deadline.

    Returns:
        How much of its body that was.
    """
    head = b""
    while b"\r\n\r\n" not in head:
        head = connection.recv(64 * 1024, socket.MSG_PEEK)
    head = connection.recv(head.index(b"\r\n\r\n") + 4).lower()
    if not head.startswith((b"http/1.1 200", b"http/1.1 206")):
        raise ConnectionError(head[:100].decode())
    length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
    done = 0
    while done < length and time.perf_counter() < deadline:
        count = connection.recv_into(buffer, min(length - done, _BUFFER))
        if not count:
            raise ConnectionError("the server closed in the middle")
        done += count
    return done


def _client_for(load: Load, seconds: float, done: "multiprocessing.Queue[int]") -> None:
    request = (
        f"GET {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n{load.headers}\r\n"
    ).encode()
    total = [0] * load.connections
    deadline = time.perf_counter() + seconds

    def run(index: int) -> None:
        buffer = bytearray(_BUFFER)
        with socket.create_connection(("127.0.0.1", load.port)) as connection:
            while time.perf_counter() < deadline:
                connection.sendall(request)
                total[index] += _read_until(connection, buffer, deadline)

    threads = [
        threading.Thread(target=run, args=(index,)) for index in range(load.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.put(sum(total))


def measure_for(load: Load, pid: int, seconds: float) -> Sample:
    """
    Put a load on a server for a while, from a process of its own.

    Args:
        load: What to ask for; the number of requests is not looked at.
        pid: The server.
        seconds: How long; what is not complete then is broken off, and counts.
    """
    done: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=_client_for, args=(load, seconds, done))
    cpu, wall = cpu_seconds(pid), time.perf_counter()
    process.start()
    total = done.get()
    process.join()
    return Sample(total / 1e9, time.perf_counter() - wall, cpu_seconds(pid) - cpu)
