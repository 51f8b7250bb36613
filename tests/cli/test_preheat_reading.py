"""
Tests for :mod:`eliop2p.cli.preheat_reading`, in front of what answers as nodes may.
"""

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.cli.preheat_plan import Job, Signed, Target, Thing
from eliop2p.cli.preheat_reading import Cancelled, Cancelling, Reading, have_read

MIB = 1024 * 1024
SIZE = 2 * MIB + 5
SIGNED = Signed("http://store/b/k%20?v=1", {"Authorization": "AWS4 secret"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Elio-Preheat: %d\r\n\r\n" % SIZE
REFUSED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 52\r\n\r\n"
    b"<Error><Message>You may not do that.</Message></Error>"
)


class Answering:
    """
    A server that takes one request and says one thing.

    Attributes:
        port: Where it listens.
        asked: What it was asked.
    """

    def __init__(self, answer: bytes, *, stays: bool) -> None:
        self.asked = b""
        self._answer = answer
        self._stays = stays
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """
        Wait until the client has gone.
        """
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client:
            while b"\r\n\r\n" not in self.asked:
                self.asked += client.recv(4096)
            client.sendall(self._answer)
            if self._stays:
                client.recv(1)


@contextmanager
def answering(answer: bytes, *, stays: bool = False) -> Iterator[Answering]:
    """
    Run a server; one that stays waits for the client to go.
    """
    server = Answering(answer, stays=stays)
    try:
        yield server
    finally:
        server.close()


class ReadingTests(SynchronousTestCase):
    """
    What is made of a node's answers.
    """

    def setUp(self) -> None:
        """
        Be about to preheat an object whose size nobody said.
        """
        self.cancelling = Cancelling()
        self.reading = Reading((), Console(file=io.StringIO()))

    def read(self, port: int) -> None:
        """
        Have a node read it.
        """
        job = Job(Thing("b", "k ", "", 0), Target("n", "127.0.0.1", port, ""))
        have_read(job, SIGNED, self.reading, self.cancelling)

    def refusal(self, answer: bytes) -> str:
        """
        Have a node read it in vain: no byte counts then.
        """
        with answering(answer) as server:
            error = self.assertRaises(OSError, self.read, server.port)
        self.assertEqual(self.reading.bytes.total(), 0)
        return str(error)

    def test_asked(self) -> None:
        """
        The node is asked in the words that were signed, and for nothing but progress;
        the bytes that it has count.
        """
        with answering(OK + b"...") as server:
            self.read(server.port)
        lines = server.asked.split(b"\r\n")
        self.assertEqual(lines[0], b"GET /b/k%20?v=1 HTTP/1.1")
        for line in (b"Host: store", b"Authorization: AWS4 secret"):
            self.assertIn(line, lines)
        self.assertEqual(self.reading.bytes, {"n": SIZE})

    def test_broken_off(self) -> None:
        """
        What breaks off has failed, whole MiB or not.
        """
        for dots in (b"", b"."):
            self.assertIn("broke off", self.refusal(OK + dots))

    def test_refused(self) -> None:
        """
        A refusal is told in the store's words.
        """
        said = self.refusal(REFUSED)
        self.assertIn("403", said)
        self.assertIn("You may not do that.", said)

    def test_other_version(self) -> None:
        """
        A node that sends the object itself cannot be told to preheat.
        """
        for head in (b"", b"X-Elio-Preheat: much\r\n"):
            answer = b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 3\r\n\r\nabc"
            self.assertIn("update it", self.refusal(answer))
        self.assertIn("makes no sense", self.refusal(b"SMTP ready\r\n\r\n"))

    def test_nobody(self) -> None:
        """
        A node that is not there has failed.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.assertRaises(OSError, self.read, port)

    def test_cancelled(self) -> None:
        """
        An answer that does not come on is not waited for when nothing more is wanted.
        """
        with answering(OK + b".", stays=True) as server:
            self.patch(self.reading, "found", lambda *_: self.cancelling.cancel())
            self.assertRaises(Cancelled, self.read, server.port)
        self.assertTrue(self.cancelling.is_over)
