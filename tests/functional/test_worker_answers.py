"""
Worker processes that answer by themselves: what they may not get wrong. Run with
``pytest``.
"""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path

import pytest

from tests.functional.one_node import OneNode, fetch, make_node, run, until
from tests.functional.test_workers import workers_of
from tests.functional.worker_store import Client, EndedError, Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")
ADMIN_TOKEN = "4dm1n4dm1n4dm1n4dm1n"
CLIENTS = 8
LENT = 40
"""
After how many requests on each connection some of them have been lent.
"""


@pytest.fixture
def store() -> Iterator[Store]:
    """
    Run a store.
    """
    with Store() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


Start = Callable[..., OneNode]


@pytest.fixture
def start(store: Store, tmp_path: Path) -> Iterator[Start]:
    """
    Run a node of two processes in front of the store.
    """
    node = make_node(tmp_path)

    def started(*, admin: dict[str, object] | None = None, **proxy: object) -> OneNode:
        node.configure(
            admin={"listen_port": node.ports.admin, **(admin or {})},
            proxy={
                "listen_port": node.ports.proxy,
                "workers": 2,
                "auth": "open",
                "freshness_seconds": 600,
                **proxy,
            },
            storage={
                "type": "s3",
                "endpoint": f"http://127.0.0.1:{store.server_port}",
            },
        )
        node.start()
        restarted(node, 0, workers=int(str(proxy.get("workers", 2))) - 1)
        return node

    yield started
    node.close()


Connect = Callable[[OneNode], list[Client]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """
    Make clients of a node that are gone when the test ends.
    """
    with ExitStack() as open_clients:

        def made(node: OneNode) -> list[Client]:
            clients = [Client(node) for _ in range(CLIENTS)]
            for client in clients:
                open_clients.enter_context(client.socket)
            return clients

        yield made


def warm_up(node: OneNode, clients: list[Client], path: str, data: bytes) -> int:
    """
    Ask until some of the connections have been lent.

    Returns:
        How many requests that took.
    """
    before = node.metric("eliop2p_worker_requests_total")
    asked = 0

    def lent() -> bool:
        nonlocal asked
        for _ in range(LENT):
            for client in clients:
                assert client.ask(path) == data
                asked += 1
        return node.metric("eliop2p_worker_requests_total") > before

    until(lent, "a worker answers")
    return asked


def answers_more(node: OneNode) -> None:
    """
    Wait until workers have answered some more requests.
    """
    known = node.metric("eliop2p_worker_requests_total")
    until(
        lambda: node.metric("eliop2p_worker_requests_total") > known + 100,
        "workers answer",
    )


def restarted(node: OneNode, times: int, *, workers: int = 1) -> None:
    """
    Wait until a worker has been replaced so many times.
    """
    until(
        lambda: (
            node.metric("eliop2p_worker_restarts_total") == times
            and node.metric("eliop2p_workers") == workers
        ),
        "it is replaced",
    )


def test_overwritten(start: Start, store: Store, connect: Connect) -> None:
    """
    Once a write through the node has been answered no client gets what was there
    before, whoever answers.
    """
    store.objects["/bucket/key"] = b"version -1"
    node = start()
    clients = connect(node)
    writer = connect(node)[0]
    for number in range(20):
        data = b"version %d" % number
        writer.ask("/bucket/key", "PUT", data)
        for client in clients:
            assert client.ask("/bucket/key") == data
        if number % 4 == 0:
            warm_up(node, clients, "/bucket/key", data)


def test_trust_ends(start: Start, store: Store, connect: Connect) -> None:
    """
    When the store's word does not count any more it is asked again, and what it says
    then is given to everybody.
    """
    store.objects["/bucket/key"] = b"old"
    node = start(freshness_seconds=3)
    clients = connect(node)
    warm_up(node, clients, "/bucket/key", b"old")
    reads = store.reads
    store.objects["/bucket/key"] = b"new"
    threading.Event().wait(3.1)
    for client in clients:
        assert client.ask("/bucket/key") == b"new"
    assert store.reads > reads


def test_passthrough(start: Start, store: Store, connect: Connect) -> None:
    """
    Where the store has to be asked for each answer, it is, and no worker answers.
    """
    store.objects["/bucket/key"] = b"data"
    node = start(auth="passthrough", freshness_seconds=0)
    clients = connect(node)
    for _ in range(LENT):
        for client in clients:
            assert client.ask("/bucket/key") == b"data"
    assert store.reads >= LENT * CLIENTS
    assert node.metric("eliop2p_worker_requests_total") == 0


def test_evicted(start: Start, store: Store, connect: Connect, tmp_path: Path) -> None:
    """
    What the operator has evicted is read from the store again.
    """
    store.objects["/bucket/key"] = b"old"
    token = tmp_path / "token"
    token.write_text(f"{ADMIN_TOKEN}\n")
    token.chmod(0o600)
    node = start(admin={"token_file": token})
    clients = connect(node)
    warm_up(node, clients, "/bucket/key", b"old")
    store.objects["/bucket/key"] = b"new"
    done = run(
        *("eliop2p", "evict", "s3://bucket", "--admin", node.admin, "--json"),
        *("--token-file", str(token)),
    )
    assert json.loads(done.stdout)["objects"] == 1
    for client in clients:
        assert client.ask("/bucket/key") == b"new"


def test_metrics_and_explanations(start: Start, store: Store, connect: Connect) -> None:
    """
    Every answer is counted once, also those of a worker that has been killed, and the
    last ones can be explained by the ids that clients were told.
    """
    store.objects["/bucket/key"] = bytes(1000)
    node = start()
    clients = connect(node)
    asked = warm_up(node, clients, "/bucket/key", bytes(1000)) + CLIENTS
    names = []
    for client in clients:
        client.ask("/bucket/key")
        names.append(client.header("x-elio-request-id"))
    (worker,) = workers_of(node)
    os.kill(worker, signal.SIGKILL)
    restarted(node, 1)
    assert node.metric("eliop2p_requests_total") == asked
    assert node.metric("eliop2p_served_bytes_total") == 1000 * asked
    assert node.metric("eliop2p_request_seconds_count") == asked
    assert len(set(names)) == CLIENTS
    for name in names:
        status, body = fetch(f"{node.admin}/api/v1/explain/{name}")
        assert status == 200, body
        assert json.loads(body)["request_id"] == name


def test_killed_while_idle(start: Start, store: Store, connect: Connect) -> None:
    """
    Connections that a worker has while it is killed, and on which no request is being
    answered, go on.
    """
    store.objects["/bucket/key"] = b"data"
    node = start()
    clients = connect(node)
    for kills in range(1, 4):
        warm_up(node, clients, "/bucket/key", b"data")
        for worker in workers_of(node):
            os.kill(worker, signal.SIGKILL)
        for client in clients:
            assert client.ask("/bucket/key") == b"data"
        restarted(node, kills)


def test_killed_while_answering(start: Start, store: Store) -> None:
    """
    Clients that ask all the time while workers are killed get whole answers, each the
    one to its own request, or see their connection end.
    """
    names = [f"/bucket/{number}" for number in range(4)]
    store.objects |= {name: name.encode() * 500 for name in names}
    node = start(workers=3)
    over = threading.Event()
    answers: list[int] = []
    ends: list[int] = []

    def ask(name: str) -> None:
        count = broken = 0
        while not over.is_set():
            client = Client(node)
            with client.socket:
                try:
                    while not over.is_set():
                        assert client.ask(name) == name.encode() * 500
                        count += 1
                except (ConnectionError, EndedError):
                    broken += 1
        answers.append(count)
        ends.append(broken)

    threads = [threading.Thread(target=ask, args=(name,)) for name in 2 * names]
    for thread in threads:
        thread.start()
    for kills in range(1, 5):
        answers_more(node)
        os.kill(workers_of(node)[0], signal.SIGKILL)
        restarted(node, kills, workers=2)
    over.set()
    for thread in threads:
        thread.join()
    assert len(answers) == len(threads)
    assert sum(ends) <= 4 * len(threads)


def test_other_requests(start: Start, store: Store, connect: Connect) -> None:
    """
    On a connection that was lent anything may be asked for: another object, more than
    one thing at a time, a piece of a request, or something that cannot be understood.
    """
    store.objects |= {"/bucket/key": b"data", "/bucket/other": b"more"}
    node = start()
    clients = connect(node)
    request = b"GET /bucket/key HTTP/1.1\r\nHost: localhost\r\n\r\n"
    warm_up(node, clients, "/bucket/key", b"data")
    for client in clients:
        assert client.ask("/bucket/other") == b"more"
    warm_up(node, clients, "/bucket/key", b"data")
    for client in clients:
        client.socket.sendall(3 * request)
        got = b""
        while got.count(b"\r\n\r\ndata") < 3:
            got += client.socket.recv(65536)
        assert got.count(b"HTTP/1.1 200") == 3
    warm_up(node, clients, "/bucket/key", b"data")
    for client in clients:
        client.socket.sendall(request[:20])
    for client in clients:
        client.socket.sendall(request[20:])
        assert client.read() == b"data"
    warm_up(node, clients, "/bucket/key", b"data")
    for client in clients:
        client.socket.sendall(b"nonsense\r\n\r\n")
        assert client.socket.recv(65536).startswith(b"HTTP/1.1 400")


def test_clients_go(start: Start, store: Store, connect: Connect) -> None:
    """
    Of clients that have gone nothing stays open, in the node as in its worker.
    """
    store.objects["/bucket/key"] = b"data"
    node = start()
    assert node.process is not None
    pids = [node.process.pid, *workers_of(node)]

    def sockets() -> int:
        links = []
        for each in chain(*(Path(f"/proc/{pid}/fd").iterdir() for pid in pids)):
            with suppress(FileNotFoundError):  # It was closed meanwhile.
                links.append(str(each.readlink()))
        return sum(link.startswith("socket:") for link in links)

    warm_up(node, connect(node), "/bucket/key", b"data")
    before = 0
    for turn in range(2):
        clients = connect(node)
        warm_up(node, clients, "/bucket/key", b"data")
        for number, client in enumerate(clients):
            if number % 2:
                client.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )
            client.socket.close()
        if not turn:
            threading.Event().wait(0.5)
            before = sockets()
    until(lambda: sockets() == before, "as many are open as before")


def test_stop(start: Start, store: Store, connect: Connect) -> None:
    """
    A node that stops closes the connections it has lent, and ends at once.
    """
    store.objects["/bucket/key"] = b"data"
    node = start()
    clients = connect(node)
    warm_up(node, clients, "/bucket/key", b"data")
    node.end()
    for client in clients:
        assert client.socket.recv(100) == b""
