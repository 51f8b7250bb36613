"""
The nodes that clients are tried with.
"""

import socket
from pathlib import Path

import attrs
import pytest

from eliop2p.cli.local_cluster import LocalNode, free_ports
from tests.functional.clients.place import NAME, Place, make_node
from tests.functional.conftest import Store
from tests.functional.stores.store import Credentials, RealStore


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
        self._running: dict[tuple[bool, bool, bool], Place] = {}
        self._nodes: list[LocalNode] = []

    def reverse(self, *, modern: bool, port_80: bool, verified: bool = False) -> Place:
        """
        Give a node that clients take for the store.

        Args:
            modern: Whether the store is moto, which knows what Ceph 16 does not.
            port_80: Whether the node is to listen on port 80.
            verified: Whether it checks clients itself.
        """
        which = modern, port_80, verified
        if which not in self._running:
            self._running[which] = self._start(*which)
        return self._running[which]

    def forward(self, *, modern: bool) -> Place:
        """
        Give a node that clients use as a forward proxy.
        """
        place = self.reverse(modern=modern, port_80=False)
        # moto takes every name for a bucket's, and an address for its own.
        name = place.store if modern else f"http://{NAME}"
        return attrs.evolve(place, endpoint=name, proxy=place.endpoint)

    def stop(self) -> None:
        """
        Stop the nodes.
        """
        for node in self._nodes:
            node.stop()

    def _start(self, modern: bool, port_80: bool, verified: bool) -> Place:
        url, credentials = self._store(modern)
        address, port = "127.0.0.1", free_ports(1)[0]
        if port_80:
            address, port = f"127.0.0.{80 + modern + 2 * verified}", 80
            _require(address, port)
        directory = self._directory / f"{modern}-{verified}-{port}"
        own = credentials if verified else None
        node = make_node(directory, url, address, port, own)
        self._nodes.append(node)
        node.start()
        node.wait_ready()
        endpoint = f"http://{address}" if port_80 else node.url
        place = Place(url, endpoint, "", node.admin_url, credentials, verified)
        place.make_bucket()
        return place

    def _store(self, modern: bool) -> tuple[str, Credentials]:
        if not modern:
            rgw = self._request.getfixturevalue("rgw")
            assert isinstance(rgw, RealStore)
            return rgw.url, rgw.alice
        store = self._request.getfixturevalue("store")
        assert isinstance(store, Store)
        return store.url, store.alice


def _require(address: str, port: int) -> None:
    try:
        socket.create_server((address, port)).close()
    except OSError as error:
        pytest.skip(f"cannot listen on {address}:{port}: {error}")
