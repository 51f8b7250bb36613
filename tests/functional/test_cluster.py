"""
Whole clusters: stock boto3 clients, real nodes, a store that checks signatures.
"""

import hashlib
import io
import random
import threading
import urllib.request
from collections.abc import Callable

import attrs
import pytest
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from eliop2p.cli.local_cluster import LocalCluster, LocalNode
from tests.functional.conftest import BUCKET, Store
from tests.functional.stores.store import Credentials, client

HEADS = 64 * 1024
"""
More bytes than the heads of a test's answers take.
"""

MAX_AMPLIFICATION = 1.02
PIECE = 1024 * 1024


def noise(seed: object, size: int) -> bytes:
    """
    Make bytes that cannot be compressed.
    """
    generator = random.Random(repr(seed))
    whole, rest = divmod(size, PIECE)
    return b"".join(
        [generator.randbytes(PIECE) for _ in range(whole)] + [generator.randbytes(rest)]
    )


def make_object(store: Store, key: str, size: int) -> str:
    """
    Put an object of random bytes into the store.

    Returns:
        Its SHA-256.
    """
    data = noise(key, size)
    store.put(key, data)
    return hashlib.sha256(data).hexdigest()


def read_whole(s3: BaseClient, key: str) -> str:
    """
    Read an object in one request.
    """
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"]
    hasher = hashlib.sha256()
    while piece := body.read(PIECE):
        hasher.update(piece)
    return hasher.hexdigest()


def read_ranges(s3: BaseClient, key: str) -> str:
    """
    Read an object as boto3 does by itself: in ranges of 8 MiB, side by side.
    """
    sink = io.BytesIO()
    s3.download_fileobj(BUCKET, key, sink)
    return hashlib.sha256(sink.getbuffer()).hexdigest()


@attrs.define
class Outcome:
    """
    How one client's read ended.
    """

    digest: str = ""
    error: Exception | None = None


def at_once(
    nodes: list[LocalNode],
    credentials: Credentials,
    read: Callable[[BaseClient], str],
    patience: float = 20,
) -> list[Outcome]:
    """
    Read through several nodes at the same time, with so many seconds' patience.
    """
    outcomes = [Outcome() for _ in nodes]

    def run(node: LocalNode, outcome: Outcome) -> None:
        try:
            s3 = client(node.url, credentials, patience=patience)
            outcome.digest = read(s3)
        except (BotoCoreError, ClientError, OSError) as error:
            outcome.error = error

    threads = [
        threading.Thread(target=run, args=pair)
        for pair in zip(nodes, outcomes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def metric(node: LocalNode, name: str) -> float:
    """
    Read the sum of a metric's samples.
    """
    with urllib.request.urlopen(f"{node.admin_url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith((f"{name} ", f"{name}{{"))
    )


class TestReads:
    """
    Reads by clients that may read.
    """

    def test_whole(self, store: Store, cluster: LocalCluster, size: int) -> None:
        """
        A cold whole-object read through every node at once reads the store once, and a
        second one moves no object bytes out of the store.
        """
        digest = make_object(store, "whole", size)
        before = store.counter.sent
        cold = at_once(cluster.nodes, store.alice, lambda s3: read_whole(s3, "whole"))
        assert cold == [Outcome(digest)] * 3
        left = store.counter.sent - before
        print(f"whole objects, cold: {left / size:.4f} of the object left the store")
        assert left <= MAX_AMPLIFICATION * size + HEADS
        before = store.counter.sent
        warm = at_once(cluster.nodes, store.alice, lambda s3: read_whole(s3, "whole"))
        assert warm == [Outcome(digest)] * 3
        assert store.counter.sent - before <= HEADS

    def test_ranges(self, store: Store, cluster: LocalCluster, size: int) -> None:
        """
        boto3's own ranged download is shared between the nodes as well.
        """
        digest = make_object(store, "ranges", size)
        before = store.counter.sent
        cold = at_once(cluster.nodes, store.alice, lambda s3: read_ranges(s3, "ranges"))
        assert cold == [Outcome(digest)] * 3
        left = store.counter.sent - before
        print(f"boto3's ranges, cold: {left / size:.4f} of the object left the store")
        assert left <= MAX_AMPLIFICATION * size + HEADS
        before = store.counter.sent
        warm = at_once(cluster.nodes, store.alice, lambda s3: read_ranges(s3, "ranges"))
        assert warm == [Outcome(digest)] * 3
        assert store.counter.sent - before <= HEADS

    @pytest.mark.parametrize("size_", [0, 1, 4096, 8 * 1024 * 1024, 9_000_000])
    def test_sizes(self, store: Store, cluster: LocalCluster, size_: int) -> None:
        """
        Objects of all sizes read right, cold and warm, with the store's own headers.
        """
        key = f"size-{size_}"
        digest = make_object(store, key, size_)
        direct = client(store.url, store.alice).get_object(Bucket=BUCKET, Key=key)
        for _ in range(2):
            for node in cluster.nodes:
                s3 = client(node.url, store.alice)
                assert read_whole(s3, key) == digest
                through = s3.get_object(Bucket=BUCKET, Key=key)
                through["Body"].read()
                for name in ("ETag", "LastModified", "ContentType", "ContentLength"):
                    assert through[name] == direct[name]


class TestDeath:
    """
    Parts of the cluster that die.
    """

    def test_node_killed(self, store: Store, cluster: LocalCluster, size: int) -> None:
        """
        Clients of other nodes finish right when a node is killed in the middle of a
        read; restarted, it serves what it held complete without asking for the bytes.
        """
        digest = make_object(store, "killed", size)
        victim = cluster.nodes[0]
        kept = make_object(store, "kept", size // 2)
        assert read_whole(client(victim.url, store.alice), "kept") == kept
        quarter = threading.Event()

        def kill() -> None:
            quarter.wait()
            victim.kill()

        def read(s3: BaseClient) -> str:
            body = s3.get_object(Bucket=BUCKET, Key="killed")["Body"]
            hasher = hashlib.sha256()
            done = 0
            while piece := body.read(PIECE):
                hasher.update(piece)
                done += len(piece)
                if done >= size // 4:
                    quarter.set()
            return hasher.hexdigest()

        killer = threading.Thread(target=kill)
        killer.start()
        outcomes = at_once(cluster.nodes, store.alice, read)
        killer.join()
        assert outcomes[1:] == [Outcome(digest)] * 2
        assert outcomes[0].error is not None or outcomes[0].digest == digest
        victim.start()
        victim.wait_ready()
        before = store.counter.sent
        assert read_whole(client(victim.url, store.alice), "kept") == kept
        assert store.counter.sent - before <= HEADS
        assert metric(victim, "eliop2p_peer_bytes_received_total") <= HEADS

    def test_control_plane_killed(
        self, store: Store, cluster: LocalCluster, size: int
    ) -> None:
        """
        A new object is read, and read once, without a control plane; when it comes back
        the nodes register by themselves.
        """
        cluster.control.kill()
        digest = make_object(store, "alone", size)
        before = store.counter.sent
        outcomes = at_once(
            cluster.nodes, store.alice, lambda s3: read_whole(s3, "alone")
        )
        assert outcomes == [Outcome(digest)] * 3
        left = store.counter.sent - before
        print(
            f"without a control plane: {left / size:.4f} of the object left the store"
        )
        assert left <= 1.05 * size + HEADS
        cluster.control.start()
        cluster.control.wait_ready()
        cluster.wait_registered()


class TestRefusals:
    """
    Clients that may not read.
    """

    def test_warm_object(self, store: Store, cluster: LocalCluster) -> None:
        """
        A wrong secret, and a user without rights, get the store's own refusal from
        every node that has the object.
        """
        digest = make_object(store, "secret", 9_000_000)
        wrong = Credentials(store.alice.access_key, "wrong" + store.alice.secret_key)
        for node in cluster.nodes:
            assert read_whole(client(node.url, store.alice), "secret") == digest
        for credentials in (wrong, store.bob):
            direct = refusal(client(store.url, credentials))
            assert direct["ResponseMetadata"]["HTTPStatusCode"] == 403
            for node in cluster.nodes:
                through = refusal(client(node.url, credentials))
                assert through["Error"] == direct["Error"]
                assert through["ResponseMetadata"]["HTTPStatusCode"] == 403


def refusal(s3: BaseClient) -> dict[str, dict[str, object]]:
    """
    Try to read an object, and give the store's answer.
    """
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=BUCKET, Key="secret")
    answer: dict[str, dict[str, object]] = caught.value.response
    return answer


class TestChanges:
    """
    Objects that change in the store.
    """

    def test_between_reads(self, store: Store, cluster: LocalCluster) -> None:
        """
        The next read after an overwrite behind the nodes gives the new bytes.
        """
        for generation in range(3):
            digest = make_object(store, "changing", 9_000_000 + generation)
            for node in cluster.nodes:
                assert read_whole(client(node.url, store.alice), "changing") == digest

    def test_during_a_read(
        self, store: Store, cluster: LocalCluster, size: int
    ) -> None:
        """
        An overwrite in the middle of a read ends in the old bytes or a broken answer.
        """
        old = noise("old", size)
        new = noise("new", size)
        store.put("replaced", old)
        s3 = client(cluster.nodes[0].url, store.alice)
        body = s3.get_object(Bucket=BUCKET, Key="replaced")["Body"]
        got = bytearray(body.read(PIECE))
        store.put("replaced", new)
        try:
            while piece := body.read(PIECE):
                got += piece
        except (BotoCoreError, OSError):
            assert old.startswith(bytes(got))
        else:
            assert bytes(got) == old
        digest = hashlib.sha256(new).hexdigest()
        for node in cluster.nodes:
            assert read_whole(client(node.url, store.alice), "replaced") == digest

    def test_write_through_a_node(self, store: Store, cluster: LocalCluster) -> None:
        """
        Uploads, single and multipart, and deletes pass through a node unchanged.
        """
        data = noise("data", 20_000_000)
        s3 = client(cluster.nodes[0].url, store.alice)
        s3.put_object(Bucket=BUCKET, Key="put", Body=data[:100_000])
        s3.upload_fileobj(io.BytesIO(data), BUCKET, "multipart")
        direct = client(store.url, store.alice)
        for key, expected in (("put", data[:100_000]), ("multipart", data)):
            stored = direct.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            assert stored == expected
            digest = hashlib.sha256(expected).hexdigest()
            assert read_whole(client(cluster.nodes[1].url, store.alice), key) == digest
        s3.delete_object(Bucket=BUCKET, Key="put")
        with pytest.raises(ClientError, match="NoSuchKey"):
            client(cluster.nodes[1].url, store.alice).get_object(
                Bucket=BUCKET, Key="put"
            )
