"""
What a cluster says of a cold read, against what was counted outside of it.
"""

import http.client
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

from botocore.client import BaseClient

from eliop2p.cli.local_cluster import LocalCluster, LocalNode
from tests.functional.conftest import BUCKET, Store
from tests.functional.one_node import OBJECT, OneNode, fetch, make_node, run
from tests.functional.stores.store import client
from tests.functional.test_cluster import HEADS, make_object, metric

PIECE = 1024 * 1024
EVERYTHING = ("bytes", "discarded")
SETTLING = 60.0
"""
Seconds that may pass until what was on its way when a transfer was given up is there.
"""


def read(s3: BaseClient, key: str) -> tuple[str, int]:
    """
    Read an object.

    Returns:
        The name of the request, and the bytes that came.
    """
    answer = s3.get_object(Bucket=BUCKET, Key=key)
    name = answer["ResponseMetadata"]["HTTPHeaders"]["x-elio-request-id"]
    count = 0
    while piece := answer["Body"].read(PIECE):
        count += len(piece)
    return name, count


def explained(node: LocalNode, name: str) -> dict[str, Any]:
    """
    Ask as an operator does.
    """
    ran = run("eliop2p", "explain", name, "--admin", node.admin_url, "--json")
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def brought(
    answer: dict[str, Any], what: str, fields: tuple[str, ...] = ("bytes",)
) -> dict[str, int]:
    """
    Sum up what steps brought, by the node that was asked.
    """
    found: dict[str, int] = {}
    for chunk in answer["chunks"]:
        for step in chunk["steps"]:
            if step["what"] == what:
                name = step["name"]
                found[name] = found.get(name, 0) + sum(step[each] for each in fields)
    return found


def check_sent(
    giver: LocalNode, names: dict[str, str], nodes: list[LocalNode], messages: float
) -> None:
    """
    Check that explanations account for every byte that a node sent to others.

    Args:
        giver: The node.
        names: What the requests are called, by the node that answered.
        nodes: Those that answered.
        messages: More bytes than what it sent besides chunks.
    """
    pause, deadline = threading.Event(), time.monotonic() + SETTLING  # noqa: TID251
    while True:
        given = received_from(giver, names, nodes)
        sent = metric(giver, "eliop2p_peer_bytes_sent_total")
        assert given <= sent
        if sent <= given + messages:
            return
        # What was on its way to somebody who gave it up has not arrived there yet.
        assert time.monotonic() < deadline, (giver.name, given, sent)  # noqa: TID251
        pause.wait(0.2)


def received_from(
    giver: LocalNode, names: dict[str, str], nodes: list[LocalNode]
) -> int:
    """
    Sum up what a node gave, what came in vain too.

    Args:
        giver: The node.
        names: What the requests are called, by the node that answered.
        nodes: Those that answered.
    """
    return sum(
        brought(explained(node, names[node.name]), "peer", EVERYTHING).get(
            giver.name, 0
        )
        for node in nodes
    )


class TestExplain:
    """
    ``eliop2p explain``.
    """

    def test_cold_read(self, store: Store, cluster: LocalCluster, size: int) -> None:
        """
        Three explanations of one cold read together account for every byte that left
        the store and for every byte that each client got, and name who gave the rest.
        """
        make_object(store, "explained", size)
        before = store.counter.sent
        results: dict[str, tuple[str, int]] = {}

        def go(node: LocalNode) -> None:
            results[node.name] = read(client(node.url, store.alice), "explained")

        threads = [threading.Thread(target=go, args=(node,)) for node in cluster.nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        left = store.counter.sent - before
        answers = {
            node.name: explained(node, results[node.name][0]) for node in cluster.nodes
        }
        from_store = in_vain = 0
        for node in cluster.nodes:
            answer, got = answers[node.name], results[node.name][1]
            assert got == answer["sent"] == size
            assert sum(chunk["bytes"] for chunk in answer["chunks"]) == size
            own = brought(answer, "origin").get("", 0)
            peers = brought(answer, "peer")
            from_store += own
            in_vain += brought(answer, "origin", ("discarded",)).get("", 0)
            assert own + sum(peers.values()) == size
            assert node.name not in peers
            assert set(peers) <= {each.name for each in cluster.nodes}
            assert all(chunk["reason"] for chunk in answer["chunks"])
        print(f"explained {from_store}, left the store {left}, the object {size}")
        assert size <= from_store
        explained_all = from_store + in_vain
        assert explained_all <= left <= explained_all + 0.02 * size + HEADS
        names = {node: name for node, (name, _) in results.items()}
        for giver in cluster.nodes:
            check_sent(giver, names, cluster.nodes, 0.01 * size + HEADS)

    def test_warm_read(self, store: Store, cluster: LocalCluster) -> None:
        """
        A second read is explained by memory, the store having answered with 304.
        """
        make_object(store, "warm", 9_000_000)
        node = cluster.nodes[0]
        s3 = client(node.url, store.alice)
        read(s3, "warm")
        name, _ = read(s3, "warm")
        answer = explained(node, name)
        assert [chunk["source"] for chunk in answer["chunks"]] == ["memory"] * 2
        assert [each["status"] for each in answer["store"]] == [304]
        assert (answer["auth"], answer["cache"]) == ("granted", "hit")

    def test_people(self, store: Store, cluster: LocalCluster) -> None:
        """
        A person gets a table, and never the client's signature.
        """
        make_object(store, "table", 9_000_000)
        node = cluster.nodes[0]
        name, _ = read(client(node.url, store.alice), "table")
        ran = run("eliop2p", "explain", name, "--steps", "--admin", node.admin_url)
        assert ran.returncode == 0
        for text in (name, "/models/table", "granted: 200", "lease", "because"):
            assert text in ran.stdout
        url = client(node.url, store.alice).generate_presigned_url(
            "get_object", {"Bucket": BUCKET, "Key": "table"}
        )
        assert fetch(url)[0] != 0
        signature = url.partition("Signature=")[2].partition("&")[0]
        status, listed = fetch(f"{node.admin_url}/api/v1/requests")
        assert status == 200
        assert signature
        assert b"Signature=*" in listed
        assert signature.encode() not in listed

    def test_unknown(self, cluster: LocalCluster) -> None:
        """
        A request that the node does not know is an error with its remedy.
        """
        url = cluster.nodes[0].admin_url
        ran = run("eliop2p", "explain", "0123456789abcdef", "--admin", url)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "X-Elio-Request-Id" in ran.stderr
        ran = run("eliop2p", "explain", "../status", "--admin", url)
        assert ran.returncode == 64

    def test_node_in_front_of_a_node(self, tmp_path: Path) -> None:
        """
        A client hears one name of its request, that of the node that it asked; from
        there an explanation leads to the node behind, cold, warm and in errors.
        """
        (tmp_path / "back").mkdir()
        (tmp_path / "front").mkdir()
        back = make_node(tmp_path / "back", bytes(3 * PIECE))
        front = make_node(tmp_path / "front")
        front.configure(storage={"type": "s3", "endpoint": back.url})
        try:
            back.start()
            front.start()
            for path, cache in ((OBJECT, "MISS"), (OBJECT, "HIT"), ("b/no", "BYPASS")):
                name, behind = self.names(front, path, cache)
                there = fetch(f"{back.admin}/api/v1/explain/{behind}")
                assert there[0] == 200
                assert json.loads(there[1])["target"] == f"/{path}"
                assert behind != name
        finally:
            front.close()
            back.close()

    def names(self, front: OneNode, path: str, cache: str) -> tuple[str, str]:
        """
        Read through a node, and tell what it and the node behind call the request.
        """
        connection = http.client.HTTPConnection("127.0.0.1", front.ports.proxy)
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        for header in ("X-Elio-Request-Id", "X-Cache"):
            assert len(answer.msg.get_all(header, [])) == 1
        assert answer.headers["X-Cache"] == cache
        assert len(answer.msg.get_all("X-Elio-Source", [])) <= 1
        name = answer.headers["X-Elio-Request-Id"]
        ran = run("eliop2p", "explain", name, "--admin", front.admin)
        assert ran.returncode == 0
        (behind,) = re.findall(r"a node that calls it (\w+)", ran.stdout)
        return name, behind
