"""
Tests for :mod:`eliop2p.p2p.node_discovery`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from eliop2p.interfaces import IMembership, IWorker
from eliop2p.model.peer import Membership, PeerInfo
from eliop2p.p2p.node_discovery import (
    NodeDiscovery,
    decode_membership,
    encode_membership,
)

_T = TypeVar("_T")

ME = PeerInfo("me", "10.0.0.1", 9000, 8080, "zone", 2.0)
OTHER = PeerInfo("other", "10.0.0.2", 9000)


@implementer(IWorker)
class SteppedWorker:
    """
    Runs what it is given when told.
    """

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def run(self, function: Callable[..., _T], *args: object) -> "Deferred[_T]":
        """
        Keep a call for later.
        """
        result: Deferred[_T] = Deferred()
        self.waiting.append(
            lambda: execute(function, *args).chainDeferred(result)  # type: ignore[arg-type]
        )
        return result

    def step(self) -> None:
        """
        Run all that waits.
        """
        while self.waiting:
            self.waiting.pop(0)()


def listing(*peers: PeerInfo, version: int = 1) -> Membership:
    """
    List members.
    """
    return Membership(version, {peer.node_id: peer for peer in peers})


class NodeDiscoveryTests(SynchronousTestCase):
    """
    The table of live members.
    """

    def setUp(self) -> None:
        """
        Make a table with a file.
        """
        self.path = Path(self.mktemp())
        self.worker = SteppedWorker()
        self.heard: list[Membership] = []
        self.discovery = self.make()

    def make(self) -> NodeDiscovery:
        """
        Make a table as a starting node does.
        """
        discovery = NodeDiscovery(ME, self.path, self.worker)
        discovery.watch(self.heard.append)
        return discovery

    def test_interface(self) -> None:
        """
        The table keeps to the letter of its interface.
        """
        verifyObject(IMembership, self.discovery)

    def test_alone(self) -> None:
        """
        Before anything is known this node is alone.
        """
        self.assertEqual(self.discovery.current().peers, {"me": ME})

    def test_always_there(self) -> None:
        """
        This node is a member whatever the control plane says, as it is itself.
        """
        stale = PeerInfo("me", "10.9.9.9", 1)
        for told in (listing(OTHER), listing(OTHER, stale, version=2)):
            self.discovery.update(told)
            self.assertEqual(self.discovery.current().peers["me"], ME)

    def test_watchers(self) -> None:
        """
        Watchers hear of each change, once, and not of new versions of the same.
        """
        self.discovery.update(listing(OTHER))
        self.discovery.update(listing(OTHER, version=7))
        self.assertEqual(len(self.heard), 1)
        self.assertEqual(self.discovery.current().version, 7)
        self.assertIs(self.discovery.current().peers, self.heard[0].peers)

    def test_lower_version(self) -> None:
        """
        A control plane that counts from the beginning again is believed.
        """
        self.discovery.update(listing(OTHER, version=100))
        self.discovery.update(listing(version=1))
        self.assertEqual(self.discovery.current(), listing(ME, version=1))

    def test_remembered(self) -> None:
        """
        The last members are there after a restart.
        """
        self.discovery.update(listing(OTHER, version=5))
        stopping = self.discovery.stop()
        self.worker.step()
        self.successResultOf(stopping)
        again = self.make()
        starting = again.start()
        self.worker.step()
        self.successResultOf(starting)
        self.assertEqual(again.current(), listing(OTHER, ME, version=5))

    def test_news_before_memory(self) -> None:
        """
        What the control plane says stands against what the file says.
        """
        self.path.write_bytes(encode_membership(listing(OTHER)))
        starting = self.discovery.start()
        self.discovery.update(listing(version=9))
        self.worker.step()
        self.successResultOf(starting)
        self.assertEqual(self.discovery.current().peers, {"me": ME})

    def test_last_write_wins(self) -> None:
        """
        Of changes in quick succession the last is remembered.
        """
        for version in range(1, 5):
            peer = PeerInfo(f"n{version}", "h", 1)
            self.discovery.update(listing(peer, version=version))
        self.worker.step()
        self.assertEqual(decode_membership(self.path.read_bytes()).version, 4)
        self.discovery.update(listing(OTHER, version=5))
        self.worker.step()
        self.assertEqual(decode_membership(self.path.read_bytes()).version, 5)

    def test_no_file(self) -> None:
        """
        Without a file yet the node starts alone and says nothing of it.
        """
        starting = self.discovery.start()
        self.worker.step()
        self.successResultOf(starting)
        self.assertEqual(self.heard, [])

    def test_nothing_to_remember_in(self) -> None:
        """
        A table without a file only knows what it is told.
        """
        discovery = NodeDiscovery(ME, None, self.worker)
        self.successResultOf(discovery.start())
        discovery.update(listing(OTHER))
        self.successResultOf(discovery.stop())
        self.assertEqual(self.worker.waiting, [])

    def test_unwritable(self) -> None:
        """
        A file that cannot be written does not keep the members from changing.
        """
        self.path = Path(self.mktemp()) / "missing" / "members"
        discovery = self.make()
        discovery.update(listing(OTHER))
        self.worker.step()
        self.successResultOf(discovery.stop())
        self.assertIn("other", discovery.current().peers)

    @given(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [
                    b"{}",
                    b"[]",
                    b'{"version": 1, "peers": [{}]}',
                    b'{"version": "x", "peers": []}',
                    b'{"version": 1, "peers": [%s]}'
                    % b'{"node_id": 5, "host": "h", "port": 1}',
                    b'{"version": 1, "peers": [%s]}'
                    % b'{"node_id": "a", "host": "h", "port": "1"}',
                    b'{"version": 1, "peers": 5}',
                    b"[" * 100_000,
                ]
            ),
        )
    )
    def test_corrupt(self, data: bytes) -> None:
        """
        A file that holds anything else is ignored.
        """
        self.path = Path(self.mktemp())
        self.path.write_bytes(data)
        discovery = self.make()
        starting = discovery.start()
        self.worker.step()
        self.successResultOf(starting)
        self.assertEqual(discovery.current().peers, {"me": ME})
