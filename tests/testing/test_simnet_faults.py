"""
Tests for the faults of :mod:`eliop2p.testing.simnet`.
"""

import hashlib
import random

from twisted.internet import error
from twisted.internet.task import Clock

from eliop2p.testing.simlink import SPARSE, Link
from eliop2p.testing.simnet import let_pass
from tests.testing.simnet_case import ONE, THREE, TWO, End, SimNetworkTestCase


class FaultTests(SimNetworkTestCase):
    """
    What can go wrong, and how fast things can go.
    """

    def test_cut(self) -> None:
        """
        A cut is silent; once it heals, everything arrives, whole and in order, and
        connections to others never noticed.
        """
        connecting, accepted = self.connect()
        bystander, _ = self.connect(THREE, TWO, 9001)
        content = random.Random(3).randbytes(1_000_000)
        connecting.write(content[:500_000])
        let_pass(self.clock, 0.0005)
        self.network.cut(TWO, ONE)
        connecting.write(content[500_000:])
        bystander.write(b"still here")
        let_pass(self.clock, 100.0)
        self.assertLess(len(accepted.received), 500_000)
        self.assertIsNone(connecting.lost_because)
        self.network.heal(ONE, TWO)
        let_pass(self.clock, 0.1)
        self.assertEqual(bytes(accepted.received), content)

    def test_close_in_a_cut(self) -> None:
        """
        The end of a connection gets through after the cut; a reset is lost, until the
        end that did not hear it sends something.
        """
        closing, closed = self.connect()
        aborting, aborted = self.connect(port=9001)
        self.network.cut(ONE, TWO)
        closing.connection.loseConnection()
        aborting.connection.abortConnection()
        let_pass(self.clock, 3.0)
        self.network.heal(ONE, TWO)
        let_pass(self.clock, 1.0)
        self.assertTrue(closed.lost(error.ConnectionDone))
        self.assertIsNone(aborted.lost_because)
        aborted.write(b"are you there?")
        let_pass(self.clock, 1.0)
        self.assertTrue(aborted.lost(error.ConnectionLost))

    def test_kill(self) -> None:
        """
        When a host is killed both ends of its connections are lost, its ports refuse,
        and its old view of the network is useless; a new host may take its place.
        """
        old = self.network.host(TWO)
        connecting, accepted = self.connect()
        self.network.kill(TWO)
        let_pass(self.clock, 0.1)
        self.assertTrue(connecting.lost(error.ConnectionLost))
        self.assertTrue(accepted.lost(error.ConnectionLost))
        late = self.network.host(ONE).connect(TWO, 9000, self.ends(), 5.0, False)
        with self.assertRaises(error.ConnectionRefusedError):
            self.wait(late)
        self.failureResultOf(old.connect(ONE, 1, self.ends(), 5.0, False))
        with self.assertRaises(error.CannotListenError):
            old.listen("", 9000, self.ends())
        self.network.host(TWO).listen("", 9000, self.ends())
        self.wait(self.network.host(ONE).connect(TWO, 9000, self.ends(), 5.0, False))

    def seconds_for(self, sender: End, receiver: End, length: int) -> float:
        """
        Send bytes and tell how long they took.
        """
        start = self.clock.seconds()
        sender.write(b"x" * length)
        sender.connection.loseConnection()
        let_pass(self.clock, 20.0)
        self.assertEqual(len(receiver.received), length)
        return receiver.lost_at - start

    def test_rates(self) -> None:
        """
        An uplink and a downlink pass as many bytes in a second as they are allowed.
        """
        for one, two, limited, way in (
            (ONE, TWO, ONE, "uplink"),
            (THREE, "10.0.0.4", "10.0.0.4", "downlink"),
        ):
            connecting, accepted = self.connect(one, two)
            self.network.limit(limited, **{way: 1_000_000})
            took = self.seconds_for(connecting, accepted, 3_000_000)
            self.assertLess(abs(took - 3.0), 0.1)

    def test_scaled(self) -> None:
        """
        Where rates and sizes are scaled down, a small packet is on a link for no longer
        than it would be without that, and a large one as long as its length takes.
        """
        fabric = self.network.fabric
        fabric.scale = 128
        source, target = Link(ONE), Link(TWO)
        source.up.rate = 1000.0
        arrivals: list[float] = []

        def arrived() -> None:
            arrivals.append(self.clock.seconds())

        for size in (*[SPARSE] * 100, 10 * SPARSE):
            fabric.carry(source, target, size, arrived)
        let_pass(self.clock, 20.0)
        busy = (100 * SPARSE / 128 + 10 * SPARSE) / 1000
        self.assertEqual(len(arrivals), 101)
        self.assertGreaterEqual(arrivals[-1], busy)
        self.assertLess(arrivals[-1], busy + 0.1)

    def test_fair_share(self) -> None:
        """
        Connections share a link; a host with a slow uplink slows nobody else down who
        sends to the same receiver.
        """
        fast, from_fast = self.connect(ONE, TWO, 9000)
        slow, from_slow = self.connect(THREE, TWO, 9001)
        other, from_other = self.connect(ONE, TWO, 9002)
        self.network.limit(THREE, uplink=100_000)
        self.network.limit(TWO, downlink=1_000_000)
        slow.write(b"x" * 1_000_000)
        other.write(b"x" * 1_000_000)
        took = self.seconds_for(fast, from_fast, 1_000_000)
        self.assertLess(abs(took - 2.2), 0.3)
        self.assertEqual(len(from_other.received), 1_000_000)
        self.assertEqual(len(from_slow.received), 1_000_000)

    def history(self, seed: int) -> str:
        """
        Run a few connections and give a digest of all that happened, and when.
        """
        self.clock = Clock()
        self.network = self.make_network(seed)
        ends = self.connect(ONE, TWO, 1) + self.connect(TWO, THREE, 2)
        for end in ends:
            end.write(bytes(400_000))
        self.clock.callLater(0.001, self.network.kill, ONE)
        let_pass(self.clock, 0.01)
        events = [(end.sizes, str(end.lost_because), end.lost_at) for end in ends]
        return hashlib.sha256(repr(events).encode()).hexdigest()

    def test_deterministic(self) -> None:
        """
        A seed determines everything; another seed gives another history.
        """
        self.assertEqual(self.history(1), self.history(1))
        self.assertNotEqual(self.history(1), self.history(2))
