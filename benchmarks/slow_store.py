"""
A store that is far away and gives each connection only so much, in its own process.
"""

import hashlib
import multiprocessing
import os
import re
import socket
import threading
import time

import attrs

_PIECE = 256 * 1024
_ETAG = hashlib.md5(b"slow", usedforsecurity=False).hexdigest() + "-9"


@attrs.frozen
class Link:
    """
    The way to the store.

    Attributes:
        delay: Seconds from a request to the first byte of its answer.
        rate: Bytes per second that a connection gives; 0 for as fast as it goes.
        size: Bytes of every object.
    """

    delay: float
    rate: float
    size: int


class SlowStore:
    """
    Every path names an object of the same length; what it holds is noise.

    Attributes:
        port: Where it listens, on loopback.
    """

    def __init__(self, link: Link) -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = listening.getsockname()[1]
        self._process = multiprocessing.Process(
            target=_serve, args=(listening, link), daemon=True
        )
        self._process.start()
        listening.close()

    def stop(self) -> None:
        """
        End it.
        """
        self._process.terminate()
        self._process.join()


def _serve(listening: socket.socket, link: Link) -> None:
    noise = memoryview(os.urandom(_PIECE))
    while True:
        connection, _ = listening.accept()
        threading.Thread(
            target=_answer_all, args=(connection, link, noise), daemon=True
        ).start()


def _answer_all(connection: socket.socket, link: Link, noise: memoryview) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = b""
    try:
        while True:
            while b"\r\n\r\n" not in buffer:
                piece = connection.recv(65536)
                if not piece:
                    return
                buffer += piece
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            time.sleep(link.delay)  # noqa: TID251  # In a thread of its own.
            _answer(connection, link, noise, head.decode("latin-1"))
    except OSError:
        return
    finally:
        connection.close()


def _answer(
    connection: socket.socket, link: Link, noise: memoryview, head: str
) -> None:
    etag = f'ETag: "{_ETAG}"\r\nLast-Modified: Mon, 02 Mar 2026 00:00:00 GMT\r\n'
    if re.search("^if-none-match:", head, re.IGNORECASE | re.MULTILINE):
        connection.sendall(f"HTTP/1.1 304 Not Modified\r\n{etag}\r\n".encode())
        return
    start, stop, status, more = 0, link.size, "200 OK", ""
    wanted = re.search(r"^range: bytes=(\d+)-(\d*)", head, re.IGNORECASE | re.MULTILINE)
    if wanted is not None:
        start = int(wanted[1])
        stop = int(wanted[2]) + 1 if wanted[2] else link.size
        status = "206 Partial Content"
        more = f"Content-Range: bytes {start}-{stop - 1}/{link.size}\r\n"
    length = f"Content-Length: {stop - start}\r\n"
    connection.sendall(f"HTTP/1.1 {status}\r\n{length}{more}{etag}\r\n".encode())
    begun, sent = time.perf_counter(), 0
    while sent < stop - start:
        at = (start + sent) % _PIECE
        piece = noise[at : at + min(_PIECE - at, stop - start - sent)]
        connection.sendall(piece)
        sent += len(piece)
        if link.rate:
            early = sent / link.rate - (time.perf_counter() - begun)
            if early > 0:
                time.sleep(early)  # noqa: TID251
