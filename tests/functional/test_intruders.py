"""
Those who speak to a node's ports without knowing how, or without the right to.
"""

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.functional.one_node import (
    OBJECT,
    TOKEN,
    OneNode,
    control_plane,
    fetch,
    make_node,
    registered,
    say,
    until,
)

DATA = random.Random(8).randbytes(100_000)
NOISE = random.Random(9).randbytes(300)

LOOPBACK, EVERYWHERE = "0100007F", "00000000"
"""
IPv4 addresses as Linux lists them.
"""

NOT_HTTP = (
    b"GARBAGE\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nNo colon\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    NOISE,
    b"\x16\x03\x01\x02\x00" + NOISE,
)

REGISTER = (
    b"POST /api/v1/nodes HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b"
)

NOT_A_PEER = (
    NOISE,
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"\xff\xff\xff\xff\x01\x00\x00\x00",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\x00" * 100_000,
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    """
    Run a node whose peers need a secret.
    """
    running = make_node(tmp_path, DATA)
    running.configure(p2p={"cluster_secret": "0123456789abcdef0123456789abcdef"})
    running.start()
    yield running
    running.close()


def grown(node: OneNode, before: str) -> list[str]:
    """
    Give the log lines since before.
    """
    return node.output[len(before) :].splitlines()


def listening(port: int) -> set[str]:
    """
    Find the IPv4 addresses, as Linux lists them, on which a TCP port listens.
    """
    rows = [
        line.split()
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    ]
    return {
        row[1].partition(":")[0]
        for row in rows
        if row[3] == "0A" and int(row[1].partition(":")[2], 16) == port
    }


class TestGarbage:
    """
    Bytes that make no sense where they arrive.
    """

    @pytest.mark.parametrize("data", NOT_HTTP, ids=range(len(NOT_HTTP)))
    def test_http(self, node: OneNode, data: bytes) -> None:
        """
        What is not HTTP is answered with 4xx or 505 at most, told in one line, and
        hurts nobody else.
        """
        before = node.output
        answer = say(node.ports.proxy, data)
        assert answer[:10] in {b"", b"HTTP/1.1 4", b"HTTP/1.1 5"}
        assert fetch(f"{node.url}/{OBJECT}") == (200, DATA)
        until(lambda: len(grown(node, before)) == 1, "one line in the log")
        assert "Traceback" not in node.output

    @pytest.mark.parametrize("data", NOT_A_PEER, ids=range(len(NOT_A_PEER)))
    def test_peer(self, node: OneNode, data: bytes) -> None:
        """
        What is not a peer is dropped, told in one line, and hurts nobody else.
        """
        before = node.output
        say(node.ports.p2p, data)
        assert fetch(f"{node.url}/{OBJECT}") == (200, DATA)
        until(lambda: len(grown(node, before)) == 1, "one line in the log")
        assert "Traceback" not in node.output

    def test_silence(self, node: OneNode) -> None:
        """
        Connections that come and go without a word are nothing to speak of.
        """
        before = node.output
        for port in (node.ports.proxy, node.ports.p2p, node.ports.admin):
            assert say(port, b"") == b"" or port == node.ports.p2p
        assert fetch(f"{node.url}/{OBJECT}") == (200, DATA)
        assert "Traceback" not in node.output
        assert len(grown(node, before)) <= 1


class TestControlPlane:
    """
    Nonsense for the control plane.
    """

    def test_nonsense(self, tmp_path: Path) -> None:
        """
        A body that is not what it should be is refused with 400 and a remedy, what is
        not HTTP is dropped, both without a traceback, and the control plane goes on.
        """
        with control_plane(tmp_path) as control:
            port = int(control.rpartition(":")[2])
            for body in (b"{bad", b"[]", b"null", b"\xff", b'{"node_id": 7}', b"["):
                answer = say(port, REGISTER % (TOKEN.encode(), len(body), body))
                head, _, text = answer.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 400 ")
                assert json.loads(text)["error"]["remedy"]
            for data in NOT_HTTP:
                say(port, data)
            assert fetch(f"{control}/health")[0] == 200
            assert registered(control) == []
        assert "Traceback" not in (tmp_path / "control.log").read_text()


class TestStrangers:
    """
    Nodes that may not take part.
    """

    def test_wrong_secret(self, tmp_path: Path) -> None:
        """
        Nodes with different secrets refuse and count each other; both serve their
        clients, and the log tells why.
        """
        with control_plane(tmp_path) as control, ExitStack() as stack:
            nodes = [make_node(tmp_path / name, DATA) for name in ("one", "two")]
            for index, node in enumerate(nodes):
                stack.callback(node.close)
                node.configure(
                    p2p={"cluster_secret": f"{index}123456789abcdef0123456789"},
                    control_plane={
                        "endpoint": control,
                        "token": TOKEN,
                        "heartbeat_interval_sec": 0.2,
                    },
                )
                node.start()
            until(
                lambda: all(len(node.members()) == 2 for node in nodes),
                "both are known",
            )
            for node in nodes:
                assert fetch(f"{node.url}/{OBJECT}") == (200, DATA)
            name = "eliop2p_peer_refused_total"
            until(
                lambda: sum(each.metric(name) for each in nodes) > 0, "one is refused"
            )
            logs = "".join(node.output for node in nodes)
            assert "cluster secret" in logs
            assert "Traceback" not in logs

    def test_no_secret(self, tmp_path: Path) -> None:
        """
        Without a secret the P2P port is bound to loopback, wherever the node listens
        otherwise, and the log tells why.
        """
        node = make_node(tmp_path, DATA)
        node.configure(general={"bind_address": "0.0.0.0"})
        try:
            node.start()
            assert listening(node.ports.p2p) == {LOOPBACK}
            assert listening(node.ports.proxy) == {EVERYWHERE}
            assert listening(node.ports.admin) == {LOOPBACK}
            assert "without [p2p] cluster_secret" in node.output
        finally:
            node.close()

    def test_secret(self, node: OneNode) -> None:
        """
        With a secret the P2P port is where it was configured to be.
        """
        node.end()
        node.configure(
            general={"bind_address": "0.0.0.0"}, p2p={"cluster_secret": "s" * 32}
        )
        node.start()
        assert listening(node.ports.p2p) == {EVERYWHERE}
