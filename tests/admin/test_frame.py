"""
Tests for :mod:`eliop2p.admin.frame`.
"""

import json
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.admin.frame import NAMES, SHOWN, Sights, percentiles
from eliop2p.admin.status import ControlStatus
from eliop2p.base.metrics import Metrics
from eliop2p.interfaces import CacheUsage
from eliop2p.model.peer import PeerStanding
from eliop2p.model.tally import ClusterTally, NodeTally, Tally
from eliop2p.model.trail import RequestTrail
from eliop2p.model.trails import Trails
from tests.admin.test_explain import ASKED, GAVE, READ, sent
from tests.admin.test_server import STATUS


class FrameTests(SynchronousTestCase):
    """
    What is shown of a node.
    """

    def setUp(self) -> None:
        """
        Make a node that has answered nothing.
        """
        self.trails = Trails(1000, 1 << 24)
        self.status = STATUS
        self.cluster = ClusterTally(0, 60.0, ())
        self.peers = [PeerStanding("gpu-3", 1e6, 0.01, 0.0, 1, 0, 0.0)]
        self.sights = Sights(
            lambda: self.status,
            Metrics(),
            self.trails,
            lambda: self.peers,
            lambda: 1000.0,
            lambda: self.cluster,
        )

    def frame(self) -> dict[str, Any]:
        """
        Give what is sent to browsers.
        """
        found: dict[str, Any] = json.loads(json.dumps(self.sights.frame()))
        return found

    def read(self, name: str, *chunks: Any, seconds: float = 1.0) -> RequestTrail:
        """
        Answer a request.
        """
        trail = RequestTrail(name, b"GET", b"/b/" + name.encode(), 10.0)
        for chunk in chunks:
            trail.add(chunk)
        trail.seconds, trail.first, trail.status = seconds, 0.5, 200
        if seconds < 0:
            self.trails.begin(trail)
        else:
            self.trails.end(trail)
        return trail

    def test_sample(self) -> None:
        """
        A sample has a number for each name but the time.
        """
        self.assertEqual(len(self.sights.sample()) + 1, len(NAMES))
        self.assertEqual(self.sights.sample(), (7, 0, 0, 8, 0, 9))

    def test_empty(self) -> None:
        """
        A node that has done nothing can be shown.
        """
        frame = self.frame()
        self.assertIsNone(frame["running"])
        self.assertEqual(frame["errors"], [])
        self.assertEqual(frame["peers"][0]["node_id"], "gpu-3")

    def test_cluster(self) -> None:
        """
        The nodes that have told are summed up, and it is said how many did not.
        """
        told = (
            NodeTally("gpu-2", Tally(9, 1000, 10), Tally(5, 100, 0)),
            NodeTally("gpu-3", Tally(7, 3000, 90), Tally(5, 300, 40)),
        )
        self.cluster = ClusterTally(5, 60.0, told)
        shown = self.frame()["cluster"]
        self.assertEqual((shown["covered"], shown["members"]), (2, 5))
        self.assertEqual(shown["total"], {"seconds": 9, "served": 4000, "store": 100})
        self.assertEqual(shown["recent"], {"seconds": 5, "served": 400, "store": 40})
        names = [node["node_id"] for node in shown["nodes"]]
        self.assertEqual(names, ["gpu-3", "gpu-2"])

    def test_running_first(self) -> None:
        """
        The read under way is pictured, with who gives what; else the last one that was
        not from the own tiers alone.
        """
        self.read("cold", sent(0, "origin", ASKED, READ), sent(1, "memory"))
        self.read("warm", sent(0, "memory"), sent(1, "memory"))
        self.assertEqual(self.frame()["running"]["object"], "/b/cold")
        chunks = (sent(4, "peer", ASKED, GAVE), sent(5, "origin", READ))
        self.read("now", *chunks, seconds=-1.0)
        shown = self.frame()["running"]
        self.assertTrue(shown["running"])
        self.assertEqual((shown["cells"], shown["first"]), ("po", 4))
        self.assertEqual(shown["feeds"], {"gpu-3": 60, "the store": 100})

    def test_objects(self) -> None:
        """
        Objects are listed by bytes, a bounded number, with how much was held here.
        """
        for number in range(SHOWN + 5):
            self.read(f"o{number}", *[sent(0, "memory")] * (number + 1))
        self.read("o3", sent(0, "origin", READ))
        listed = self.frame()["objects"]
        self.assertEqual(len(listed), SHOWN)
        self.assertEqual(listed[0]["object"], f"/b/o{SHOWN + 4}")
        self.assertEqual(
            [each["bytes"] for each in listed],
            sorted((each["bytes"] for each in listed), reverse=True),
        )

    def test_errors(self) -> None:
        """
        What is wrong is said in words: a tier, the control plane, refusals, failures.
        """
        self.status = attrs.evolve(
            STATUS,
            tiers={"disk": CacheUsage(0, 1, 0, degraded="no space is left")},
            control_plane=ControlStatus("http://c:8081", "degraded"),
        )
        self.read("fine")
        self.read("denied").status = 403
        self.read("broken").error = "OriginUnavailable: no route"
        texts = [each["text"] for each in self.frame()["errors"]]
        self.assertEqual(len(texts), 4)
        for text, part in zip(
            texts,
            ("no space", "reads do not need it", "no route", "refused the client"),
            strict=True,
        ):
            self.assertIn(part, text)

    def test_percentiles(self) -> None:
        """
        Percentiles are values that occurred, by nearest rank.
        """
        values = [float(each) for each in range(1, 101)]
        self.assertEqual(percentiles(values), {"p50": 50.0, "p90": 90.0, "p99": 99.0})
        self.assertEqual(percentiles([2.0, 1.0])["p50"], 1.0)
        self.assertEqual(percentiles([])["p99"], None)
