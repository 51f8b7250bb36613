"""
Tests for :mod:`eliop2p.p2p.policies` and :mod:`eliop2p.p2p.selectors`.
"""

import random

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.errors import StartError
from eliop2p.model.choice import Candidate, Choice
from eliop2p.model.peer import Membership, PeerInfo, neighbours
from eliop2p.p2p.policies import fastest, nearest, rarest
from eliop2p.p2p.selectors import find_selector
from eliop2p.testing.selectors import peer_selector_tests

FastestTests = peer_selector_tests(lambda: find_selector("fastest"))
NearestTests = peer_selector_tests(lambda: find_selector("nearest"))
RarestTests = peer_selector_tests(lambda: find_selector("rarest"))


def names(choices: tuple[Choice, ...]) -> str:
    """
    Give the order in short.
    """
    return "".join(choice.node_id for choice in choices)


class PolicyTests(SynchronousTestCase):
    """
    What tells the policies apart.
    """

    def setUp(self) -> None:
        """
        Take chance.
        """
        self.rng = random.Random(7)

    def test_fastest(self) -> None:
        """
        The fastest is asked first even from another zone; among equals it is the home's
        favourite, whether it holds the chunk or receives it, unless another one has
        fewer requests.
        """
        near = Candidate("n", True, 1.0, near=True)
        far = Candidate("f", True, 0.1, near=False)
        receiving = Candidate("r", False, 0.1)
        chosen = fastest([near, receiving, far], self.rng)
        self.assertEqual(names(chosen), "rfn")
        self.assertIn("takes 1 s for a MiB", chosen[2].why)
        loaded = Candidate("r", False, 0.1, in_flight=1)
        self.assertEqual(names(fastest([near, loaded, far], self.rng)), "frn")

    def test_nearest(self) -> None:
        """
        All of the own zone are asked before any other, whether they hold the chunk or
        receive it, unless they do much worse.
        """
        candidates = [
            Candidate("a", True, 0.02, near=False),
            Candidate("b", False, 0.02, near=True),
            Candidate("c", True, 0.02, near=True),
            Candidate("d", True, 9.0, near=True),
        ]
        chosen = nearest(candidates, self.rng)
        self.assertEqual(names(chosen), "bcad")
        self.assertEqual(chosen[1].why, "holds it, in this zone")
        self.assertEqual(chosen[2].why, "holds it, in another zone")

    def test_latency(self) -> None:
        """
        Of two near ones with equal load the one that answers sooner is asked first; the
        load counts for more.
        """
        soon = Candidate("s", True, 0.02, latency=0.001)
        late = Candidate("l", True, 0.02, latency=0.05)
        self.assertEqual(names(nearest([late, soon], self.rng)), "sl")
        busy = Candidate("s", True, 0.02, latency=0.001, in_flight=3)
        self.assertEqual(names(nearest([late, busy], self.rng)), "ls")

    def test_rarest(self) -> None:
        """
        One of few holders is spared where somebody else is ahead; one of many is not.
        """
        receiving = [Candidate(name, False, 0.02) for name in "rs"]
        few = [Candidate("h", True, 0.02)]
        chosen = rarest([*few, *receiving], self.rng)
        self.assertEqual(names(chosen), "rsh")
        self.assertIn("spared", chosen[2].why)
        many = [Candidate(name, True, 0.02) for name in "abc"]
        self.assertEqual(names(rarest([*receiving, *many], self.rng)), "rsabc")

    def test_unknown(self) -> None:
        """
        A name that nobody has is refused with the names that there are.
        """
        error = self.assertRaises(StartError, find_selector, "luckiest")
        self.assertIn("fastest, nearest, rarest", str(error))
        self.assertIn("[p2p] selection = 'luckiest'", str(error))

    def test_neighbours(self) -> None:
        """
        Members of the same zone are near; all are to one that names no zone.
        """
        peers = {
            name: PeerInfo(name, "10.0.0.1", 9000, zone=zone)
            for name, zone in (("a", "x"), ("b", "x"), ("c", "y"), ("d", ""))
        }
        members = Membership(1, peers)
        self.assertEqual(neighbours(members, "a"), {"a", "b"})
        self.assertEqual(neighbours(members, "d"), set("abcd"))
