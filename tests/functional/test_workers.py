"""
A node with several processes, some of which die: run with ``pytest``.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.functional.one_node import BOUND, OBJECT, OneNode, fetch, make_node, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")

MIB = 1024 * 1024
SIZE = 24 * MIB + 12345
CLIENTS = 6


def content() -> bytes:
    """
    Make an object of which every part differs from every other.
    """
    return b"".join(b"%015d\n" % number for number in range(SIZE // 16 + 1))[:SIZE]


@contextmanager
def running(directory: Path) -> Iterator[OneNode]:
    """
    Run a node of three processes that trusts the store's word, with the object in
    memory and on disk.
    """
    node = make_node(directory, content())
    node.configure(
        proxy={
            "listen_port": node.ports.proxy,
            "workers": 3,
            "auth": "open",
            "freshness_seconds": 600,
        }
    )
    try:
        node.start()
        until(lambda: node.metric("eliop2p_workers") == 2, "both workers are there")
        assert fetch(f"{node.url}/{OBJECT}") == (200, content())
        until(
            lambda: node.metric("eliop2p_cache_used_bytes") >= 2 * SIZE,
            "the object is in memory and on disk",
        )
        yield node
    finally:
        node.close()


@pytest.fixture(scope="module")
def lasting_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNode]:
    """
    A node for all tests that leave it as it was.
    """
    with running(tmp_path_factory.mktemp("workers")) as node:
        yield node


@pytest.fixture
def node(lasting_node: OneNode) -> OneNode:
    """
    That node with all of its workers.
    """
    until(lambda: lasting_node.metric("eliop2p_workers") == 2, "both workers are there")
    return lasting_node


@pytest.fixture
def own_node(tmp_path: Path) -> Iterator[OneNode]:
    """
    A node for one test.
    """
    with running(tmp_path) as node:
        yield node


def workers_of(node: OneNode) -> list[int]:
    """
    Give the process ids of the workers.
    """
    assert node.process is not None
    pid = node.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [
        child
        for child in map(int, children.split())
        if "eliop2p.workers" in Path(f"/proc/{child}/cmdline").read_text("latin-1")
    ]


class Client:
    """
    Asks for the object on a connection of its own and reads it when it is told to.
    """

    def __init__(self, node: OneNode) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.socket.connect(("127.0.0.1", node.ports.proxy))
        self.socket.settimeout(20)
        self.got = bytearray()

    def ask(self) -> None:
        """
        Ask, and read the head of the answer.
        """
        request = f"GET /{OBJECT} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.socket.sendall(request.encode())
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        assert head.startswith(b"HTTP/1.1 200"), head

    def read(self, length: int) -> None:
        """
        Read the body up to a length.
        """
        while len(self.got) < length:
            piece = self.socket.recv(min(65536, length - len(self.got)))
            assert piece, f"the connection ended after {len(self.got)} bytes"
            self.got += piece

    def read_rest(self) -> None:
        """
        Read the whole body.
        """
        self.read(SIZE)


Connect = Callable[[OneNode], Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """
    Make clients of a node that are gone when the test ends.
    """
    with ExitStack() as open_clients:

        def made(node: OneNode) -> Client:
            client = Client(node)
            open_clients.enter_context(client.socket)
            return client

        yield made


def read_all(clients: list[Client]) -> None:
    """
    Let clients read at the same time; they must all get the object.
    """
    threads = [threading.Thread(target=client.read_rest) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = content()
    for client in clients:
        assert bytes(client.got) == expected
        client.got.clear()


def amid_answers(node: OneNode, connect: Connect) -> list[Client]:
    """
    Have clients that are all in the middle of an answer.
    """
    clients = [connect(node) for _ in range(CLIENTS)]
    for client in clients:
        client.ask()
    for client in clients:
        client.read(300_000)
    return clients


def test_bytes_and_metrics(node: OneNode, connect: Connect) -> None:
    """
    Answers that several processes send are right, on connections that are kept, and
    what they send is counted once.
    """
    served = node.metric("eliop2p_served_bytes_total")
    requests = node.metric("eliop2p_requests_total")
    before = node.metric("eliop2p_worker_bytes_total")
    clients = [connect(node) for _ in range(CLIENTS)]
    for _ in range(2):
        for client in clients:
            client.ask()
        read_all(clients)
    until(
        lambda: node.metric("eliop2p_requests_total") == requests + 2 * CLIENTS,
        "all requests are counted",
    )
    assert node.metric("eliop2p_served_bytes_total") == served + 2 * CLIENTS * SIZE
    carried = node.metric("eliop2p_worker_bytes_total") - before
    assert 0 < carried < 2 * CLIENTS * SIZE


def test_killed_amid_answers(node: OneNode, connect: Connect) -> None:
    """
    Killing a worker that is sending is noticed by no client, not even by those that it
    was sending to; it is replaced, and what it had sent stays counted.
    """
    restarts = node.metric("eliop2p_worker_restarts_total")
    clients = amid_answers(node, connect)
    victims = workers_of(node)
    assert len(victims) == 2
    os.kill(victims[0], signal.SIGKILL)
    read_all(clients)
    until(lambda: node.metric("eliop2p_workers") == 2, "the worker is replaced")
    assert node.metric("eliop2p_worker_restarts_total") == restarts + 1
    before = node.metric("eliop2p_worker_bytes_total")
    for client in clients:
        client.ask()
    read_all(clients)
    assert node.metric("eliop2p_worker_bytes_total") > before
    assert set(workers_of(node)) & set(victims) == {victims[1]}


def test_hung_worker(node: OneNode, connect: Connect) -> None:
    """
    A worker that hangs is killed after a while, and its clients go on.
    """
    restarts = node.metric("eliop2p_worker_restarts_total")
    clients = amid_answers(node, connect)
    os.kill(workers_of(node)[0], signal.SIGSTOP)
    read_all(clients)
    assert "is killed" in node.output
    assert node.metric("eliop2p_worker_restarts_total") == restarts + 1


def test_all_killed_again_and_again(node: OneNode, connect: Connect) -> None:
    """
    Whatever number of workers dies however often, every client gets what it asked for.
    """
    restarts = node.metric("eliop2p_worker_restarts_total")
    clients = amid_answers(node, connect)
    killing = threading.Event()

    def kill() -> None:
        while not killing.wait(0.05):
            for pid in workers_of(node):
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for _ in range(3):
            read_all(clients)
            for client in clients:
                client.ask()
        read_all(clients)
    finally:
        killing.set()
        killer.join()
    assert node.running()
    assert node.metric("eliop2p_worker_restarts_total") >= restarts + 2


def test_signals_to_the_group(own_node: OneNode, connect: Connect) -> None:
    """
    Workers do not end of the signals that end a node, before the answers under way
    have been given; then they are gone with it.
    """
    clients = amid_answers(own_node, connect)
    pids = workers_of(own_node)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
    assert own_node.process is not None
    own_node.process.send_signal(signal.SIGTERM)
    read_all(clients)
    assert own_node.process.wait(BOUND) == -signal.SIGTERM
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()


def test_node_killed(own_node: OneNode, connect: Connect) -> None:
    """
    When the node is killed its workers end, and a client sees that its answer has.
    """
    clients = amid_answers(own_node, connect)
    pids = workers_of(own_node)
    own_node.end(signal.SIGKILL)
    until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids),
        "the workers have ended",
    )
    for client in clients:
        with pytest.raises((AssertionError, ConnectionResetError)):
            client.read_rest()
