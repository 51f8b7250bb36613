"""
Real clusters of etcd on this machine's loopback.
"""

import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from eliop2p.cli.local_cluster import free_ports

needs_etcd = pytest.mark.skipif(
    shutil.which("etcd") is None,
    reason="no etcd: apt install etcd-server",
)


class EtcdCluster:
    """
    So many members of one cluster.

    Args:
        directory: Holds their data.
        size: How many there are.
    """

    def __init__(self, directory: Path, size: int) -> None:
        ports = free_ports(2 * size)
        self._directory = directory
        self._clients, self._peers = ports[:size], ports[size:]
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        for index in range(size):
            self.start(index)
        self.wait()

    @property
    def endpoint(self) -> str:
        """
        The cluster as nodes are told of it.
        """
        return "etcd://" + ",".join(f"127.0.0.1:{port}" for port in self._clients)

    @property
    def urls(self) -> list[str]:
        """
        The members' gateways.
        """
        return [f"http://127.0.0.1:{port}" for port in self._clients]

    def start(self, index: int) -> None:
        """
        Start a member, with what it has on disk.
        """
        peer = f"http://127.0.0.1:{self._peers[index]}"
        client = self.urls[index]
        cluster = ",".join(
            f"m{place}=http://127.0.0.1:{port}"
            for place, port in enumerate(self._peers)
        )
        log = (self._directory / f"m{index}.log").open("ab")
        self._running[index] = subprocess.Popen(
            [
                *("etcd", "--name", f"m{index}", "--log-level", "error"),
                *("--data-dir", str(self._directory / f"m{index}")),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", cluster, "--unsafe-no-fsync"),
            ],
            stdout=log,
            stderr=log,
        )
        log.close()

    def kill(self, index: int) -> None:
        """
        Kill a member.
        """
        process = self._running.pop(index)
        process.kill()
        process.wait()

    def kill_all(self) -> None:
        """
        Kill every member.
        """
        for index in list(self._running):
            self.kill(index)

    def leader(self) -> int:
        """
        Find the leader.
        """
        for index in self._running:
            status = self._ask(index, "maintenance/status", {})
            header = status.get("header")
            if isinstance(header, dict) and status["leader"] == header["member_id"]:
                return index
        raise LookupError("there is no leader")

    def compact(self, revision: int) -> None:
        """
        Forget what happened before a revision.
        """
        for index in self._running:
            if self._ask(index, "kv/compaction", {"revision": str(revision)}):
                return
        raise LookupError("nobody compacts")

    def wait(self) -> None:
        """
        Wait until the cluster has a leader.
        """
        pause, deadline = threading.Event(), time.monotonic() + 30  # noqa: TID251
        while time.monotonic() < deadline:  # noqa: TID251
            try:
                self.leader()
            except LookupError:
                pause.wait(0.1)
            else:
                return
        raise TimeoutError("the cluster of etcd does not come up")

    def _ask(self, index: int, path: str, body: object) -> dict[str, object]:
        request = urllib.request.Request(
            f"{self.urls[index]}/v3/{path}", json.dumps(body).encode()
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                found: dict[str, object] = json.load(answer)
                return found
        except (OSError, urllib.error.HTTPError):
            return {}
