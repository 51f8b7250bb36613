"""
Where clients are tried: a store, the node in front of it, and the way there.
"""

import urllib.request
from pathlib import Path
from typing import Any

import attrs

from eliop2p.cli.local_cluster import LocalNode, free_ports
from tests.functional.clients.backing import BUCKET, Backing
from tests.functional.stores.store import Credentials

NAME = "s3.cluster.test"
"""
What clients of a forward proxy call the store; no name server knows it.
"""

_METRIC = "eliop2p_served_bytes_total"


KNOWN = Credentials("AKCLIENT", "client+secret/client+secret")
"""
Whom a node knows that checks its clients itself, and no store does.
"""


def verifying(directory: Path, node: Credentials) -> dict[str, dict[str, object]]:
    """
    Give what a node is told in addition that checks its clients itself.

    Args:
        directory: Where to put the file with the client.
        node: What the node signs with.
    """
    clients = directory / "clients.ini"
    clients.write_text(
        f"[client]\naccess_key = {KNOWN.access_key}\n"
        f"secret_key = {KNOWN.secret_key}\nallow = write {BUCKET}\n    read *\n"
    )
    clients.chmod(0o600)
    return {
        "proxy": {"auth": "verify", "credentials_file": clients},
        "storage": {"access_key": node.access_key, "secret_key": node.secret_key},
    }


def make_node(
    directory: Path, backing: Backing, address: str, port: int, *, verified: bool
) -> LocalNode:
    """
    Make a node.

    Args:
        directory: Where everything goes; made.
        backing: The store.
        address: Where it listens.
        port: Its clients' port.
        verified: Whether it checks its clients itself.
    """
    directory.mkdir()
    p2p, admin = free_ports(2)
    more = verifying(directory, backing.credentials) if verified else {}
    return LocalNode(
        "node",
        directory,
        {
            "general": {"bind_address": "127.0.0.1", "data_dir": directory / "data"},
            "proxy": {
                "bind_address": address,
                "listen_port": port,
                **more.get("proxy", {}),
            },
            "p2p": {"listen_port": p2p},
            "admin": {"listen_port": admin},
            "cache": {"memory_cache_size_mb": 512, "disk_cache_size_mb": 4096},
            "storage": {
                **backing.settings,
                "domains": NAME,
                **more.get("storage", {}),
            },
        },
    )


@attrs.frozen
class Place:
    """
    What a client is told, and how to see behind its back.

    Attributes:
        backing: The store itself.
        endpoint: The store as the client is to name it.
        proxy: The node when it is a forward proxy, else empty.
        admin: Where the node's operators look.
        verified: Whether the node knows the client, and the store only the node.
    """

    backing: Backing
    endpoint: str
    proxy: str
    admin: str
    verified: bool = False

    @property
    def client(self) -> Credentials:
        """
        What the client signs with.
        """
        return KNOWN if self.verified else self.backing.credentials

    def job(self, scratch: Path) -> dict[str, Any]:
        """
        Say where to work, as ``drivers/job.py`` wants it.
        """
        return {
            "endpoint": self.endpoint,
            "proxy": self.proxy,
            "bucket": BUCKET,
            "access_key": self.client.access_key,
            "secret_key": self.client.secret_key,
            "region": self.backing.region,
            "scratch": str(scratch),
        }

    def put(self, key: str, data: bytes) -> None:
        """
        Write an object without the node knowing.
        """
        self.backing.put(key, data)

    def stored(self, key: str) -> bytes:
        """
        Read an object without the node.
        """
        return self.backing.stored(key)

    def read(self, key: str) -> bytes:
        """
        Read an object through the node.
        """
        return self.backing.read(self.endpoint, self.proxy, self.client, key)

    def cached_bytes(self) -> int:
        """
        Count the bytes that the node has given to clients from its tiers.
        """
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in lines
            for tier in ("memory", "disk")
            if line.startswith(f'{_METRIC}{{source="{tier}"}}')
        )
