"""
Real nodes, and a peer on real sockets that does them harm as far as it can.
"""

import hashlib
import http.client
import random
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from eliop2p.model.chunk import Digest
from eliop2p.model.peer import PeerInfo
from eliop2p.p2p.pulse import HANDSHAKE_TIMEOUT
from eliop2p.wire.cluster_events import MemberUpdate, Rumour, Standing
from eliop2p.wire.codec import MAX_DATA, encode, encode_data_header
from eliop2p.wire.events import Done, Get, Have, Hello, Locate
from eliop2p.wire.rules import Role
from eliop2p.wire.session import Session
from tests.functional.hostile_peer import Answer, Bytes, HostilePeer, received
from tests.functional.one_node import OBJECT, OneNode, fetch, make_node, until

MIB = 1024 * 1024
SECRET = "0123456789abcdef0123456789abcdef"
DATA = random.Random(11).randbytes(6 * MIB)
DIGEST = Digest(b"d" * 32)

PATIENCE = 20.0
TRIES = 3
"""
Seconds for which a client waits for the next bytes, and how often it tries, whatever
the peer does.
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    """
    Run a node with small chunks whose peers need a secret.
    """
    running = make_node(tmp_path, DATA)
    running.configure(
        general={"node_id": "node"},
        p2p={"cluster_secret": SECRET},
        cache={"chunk_size_mb": 1},
    )
    running.start()
    yield running
    running.close()


def read(node: OneNode) -> None:
    """
    Read the object as an SDK does, which tries again when an answer breaks off, and
    demand the right bytes.
    """
    for _ in range(TRIES):
        client = http.client.HTTPConnection(
            "127.0.0.1", node.ports.proxy, timeout=PATIENCE
        )
        try:
            client.request("GET", f"/{OBJECT}")
            answer = client.getresponse()
            body = answer.read()
        except (http.client.IncompleteRead, ConnectionError):
            continue
        finally:
            client.close()
        assert answer.status == 200
        assert hashlib.sha256(body).digest() == hashlib.sha256(DATA).digest()
        return
    raise AssertionError("no answer was whole")


def resident(node: OneNode) -> int:
    """
    Tell how much memory a node has, in bytes.
    """
    assert node.process is not None
    statm = Path(f"/proc/{node.process.pid}/statm").read_text()
    return int(statm.split()[1]) * resource.getpagesize()


def frame(request: Get, data: bytes) -> bytes:
    """
    Make bytes of a chunk travel.
    """
    return encode_data_header(request.request_id, len(data)) + data


def wrong_bytes(request: Get) -> Bytes:
    """
    A chunk of zeros, with a digest of something else.
    """
    half = (MIB - request.offset) // 2 or 1
    yield frame(request, bytes(half))
    yield frame(request, bytes(MIB - request.offset - half))
    yield encode(Done(request.request_id, DIGEST))


def no_bytes(request: Get) -> Bytes:
    """
    The end without the chunk.
    """
    yield encode(Done(request.request_id, DIGEST))


def endless(request: Get) -> Bytes:
    """
    A chunk that goes on and on, whatever is said.
    """
    piece = bytes(MAX_DATA - 4)
    while True:
        yield frame(request, piece)


def huge_length(_request: Get) -> Bytes:
    """
    A message of four gigabytes.
    """
    yield b"\xff\xff\xff\xff\x09\x00\x00\x00" + bytes(1000)


def trickle(request: Get) -> Bytes:
    """
    A byte now and then.
    """
    pause = threading.Event()
    while not pause.wait(0.2):
        yield frame(request, b"x")


def silence(_request: Get) -> Bytes:
    """
    Nothing at all.
    """
    return ()


def unasked(request: Get) -> Bytes:
    """
    Answers to requests that were never made.
    """
    yield encode(Done(request.request_id + 1000, DIGEST))


LIES: tuple[Answer, ...] = (
    wrong_bytes,
    no_bytes,
    endless,
    huge_length,
    trickle,
    silence,
    unasked,
)


class TestMember:
    """
    A peer that knows the secret, is a member, and as the home of half of the chunks
    sends everybody to itself.
    """

    @pytest.mark.parametrize("lie", LIES, ids=[lie.__name__ for lie in LIES])
    def test_lies(self, node: OneNode, lie: Answer) -> None:
        """
        Whatever it sends in place of chunks, clients get the right bytes, in time, from
        a node that needs no more memory for it and goes on.
        """
        peer = HostilePeer(SECRET.encode(), lie)
        peer.listen()
        try:
            peer.join(node.ports.p2p)
            until(lambda: len(node.members()) == 2, "it is a member")
            before = resident(node)
            read(node)
            assert peer.gets > 0
            # The object itself may be in memory twice: cached, and on its way.
            assert resident(node) < before + 2 * len(DATA) + 48 * MIB
            bad = node.metric("eliop2p_peer_failures_total")
            corrupt = node.metric("eliop2p_corrupt_chunks_total")
            assert bad + corrupt > 0
            assert fetch(f"{node.admin}/readyz")[0] == 200
            assert "Traceback" not in node.output
        finally:
            peer.close()

    def test_unknown_members(self, node: OneNode) -> None:
        """
        Five hundred members that do not exist hinder nobody for long.
        """
        peer = HostilePeer(SECRET.encode(), silence)
        peer.listen()
        try:
            made_up = [
                MemberUpdate(Standing.ALIVE, 1, PeerInfo(f"nobody-{n}", "127.0.0.1", 9))
                for n in range(500)
            ]
            rumours = [Rumour(tuple(made_up[n : n + 100])) for n in range(0, 500, 100)]
            peer.connect(node.ports.p2p, *rumours)
            until(lambda: len(node.members()) > 100, "they are believed")
            read(node)
            assert "Traceback" not in node.output
        finally:
            peer.close()

    def test_floods(self, node: OneNode) -> None:
        """
        A hundred thousand questions and announcements are answered or dropped; clients
        are served meanwhile, and memory stays within what the table's entries take.
        """
        before = resident(node)
        peer = HostilePeer(SECRET.encode(), silence)
        peer.listen()
        try:
            connection = peer.connect(node.ports.p2p)
            flood = threading.Thread(target=pour, args=(connection,), daemon=True)
            flood.start()
            read(node)
            flood.join(PATIENCE)
            assert not flood.is_alive()
            assert resident(node) < before + 2 * len(DATA) + 200 * MIB
            assert fetch(f"{node.admin}/readyz")[0] == 200
        finally:
            peer.close()


def pour(connection: socket.socket) -> None:
    """
    Ask and announce without end, until all is said or the connection is gone.
    """
    rng = random.Random(5)
    try:
        for number in range(1, 50_000, 500):
            asked = [
                encode(Locate(number + more, rng.randbytes(32), 0, True, ()))  # type: ignore[arg-type]
                for more in range(500)
            ]
            had = tuple((rng.randbytes(32), DIGEST) for _ in range(500))
            asked.append(encode(Have(had)))  # type: ignore[arg-type]
            connection.sendall(b"".join(asked))
    except OSError:
        return


class TestStranger:
    """
    Peers that do not know the secret, or do not finish what they begin.
    """

    def test_slow_handshakes(self, node: OneNode) -> None:
        """
        Connections that say nothing, half a hello, or a byte at a time are ended within
        seconds, and serve nobody as a way in; clients do not notice.
        """
        hello = encode(Hello(1, 0, "stranger", bytes(32)))
        begun = [b"", hello[:5], hello[:-1], hello]
        connections = [
            socket.create_connection(("127.0.0.1", node.ports.p2p)) for _ in range(40)
        ]
        try:
            for number, connection in enumerate(connections):
                connection.sendall(begun[number % 4])
            read(node)
            for connection in connections:
                connection.settimeout(2 * HANDSHAKE_TIMEOUT)
                while received(connection):
                    pass
        finally:
            for connection in connections:
                connection.close()

    def test_replay(self, node: OneNode) -> None:
        """
        What a member once sent gets nobody in.
        """
        member = Session(Role.CONNECTING, "member", SECRET.encode(), lambda: b"m" * 32)
        first = socket.create_connection(("127.0.0.1", node.ports.p2p), 10)
        recorded = member.data_to_send()
        first.sendall(recorded)
        while not member.established:
            member.receive(first.recv(65536))
            said = member.data_to_send()
            recorded += said
            first.sendall(said)
        refused = node.metric("eliop2p_peer_refused_total")
        again = socket.create_connection(("127.0.0.1", node.ports.p2p), 10)
        again.sendall(recorded)
        while received(again):
            pass
        until(
            lambda: node.metric("eliop2p_peer_refused_total") == refused + 1,
            "it is counted",
        )
        first.close()
        again.close()
        read(node)

    def test_another_secret(self, node: OneNode) -> None:
        """
        Who does not know the secret is refused, however often, and counted.
        """
        peer = HostilePeer(b"another secret", silence)
        peer.listen()
        try:
            for _ in range(20):
                peer.join(node.ports.p2p)
            until(
                lambda: node.metric("eliop2p_peer_refused_total") == 20,
                "all are counted",
            )
            read(node)
            assert len(node.members()) == 1
            assert peer.gets == 0
        finally:
            peer.close()
