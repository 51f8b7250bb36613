"""
The nodes that clients are tried with.
"""

import socket
from pathlib import Path

import attrs
import pytest

from eliop2p.cli.local_cluster import LocalNode, free_ports
from tests.functional.clients.backing import Backing, OssBacking, S3Backing
from tests.functional.clients.place import NAME, Place, make_node
from tests.functional.conftest import Store
from tests.functional.stores.oss_origin import OssServer
from tests.functional.stores.oss_world import make_world
from tests.functional.stores.store import RealStore


class Places:
    """
    Nodes in front of stores, each started when it is first wanted.

    Args:
        request: Gives the stores.
        directory: Where everything goes.
    """

    def __init__(self, request: pytest.FixtureRequest, directory: Path) -> None:
        self._request = request
        self._directory = directory
        self._running: dict[tuple[str, bool, bool], Place] = {}
        self._nodes: list[LocalNode] = []
        self._servers: list[OssServer] = []

    def reverse(self, store: str, *, port_80: bool, verified: bool = False) -> Place:
        """
        Give a node that clients take for the store.

        Args:
            store: Which: rgw, moto, which knows what Ceph 16 does not, or oss.
            port_80: Whether the node is to listen on port 80.
            verified: Whether it checks clients itself.
        """
        which = store, port_80, verified
        if which not in self._running:
            self._running[which] = self._start(*which)
        return self._running[which]

    def forward(self, store: str) -> Place:
        """
        Give a node that clients use as a forward proxy.
        """
        place = self.reverse(store, port_80=False)
        # moto takes every name for a bucket's, and an address for its own.
        name = place.backing.url if store == "moto" else f"http://{NAME}"
        return attrs.evolve(place, endpoint=name, proxy=place.endpoint)

    def stop(self) -> None:
        """
        Stop the nodes, and the stores that were started for them.
        """
        for node in self._nodes:
            node.stop()
        for server in self._servers:
            server.close()

    def _start(self, store: str, port_80: bool, verified: bool) -> Place:
        backing = self._backing(store)
        address, port = "127.0.0.1", free_ports(1)[0]
        if port_80:
            address, port = f"127.0.0.{80 + (store == 'moto') + 2 * verified}", 80
            _require(address, port)
        directory = self._directory / f"{store}-{verified}-{port}"
        node = make_node(directory, backing, address, port, verified=verified)
        self._nodes.append(node)
        node.start()
        node.wait_ready()
        endpoint = f"http://{address}" if port_80 else node.url
        backing.make_bucket()
        return Place(backing, endpoint, "", node.admin_url, verified)

    def _backing(self, store: str) -> Backing:
        if store == "oss":
            server = OssServer(make_world())
            self._servers.append(server)
            return OssBacking(server)
        if store == "rgw":
            rgw = self._request.getfixturevalue("rgw")
            assert isinstance(rgw, RealStore)
            return S3Backing(rgw.url, rgw.alice)
        moto = self._request.getfixturevalue("store")
        assert isinstance(moto, Store)
        return S3Backing(moto.url, moto.alice)


def _require(address: str, port: int) -> None:
    try:
        socket.create_server((address, port)).close()
    except OSError as error:
        pytest.skip(f"cannot listen on {address}:{port}: {error}")
