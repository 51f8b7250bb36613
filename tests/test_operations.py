"""
Tests for :mod:`eliop2p.operations`.
"""

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.policy import Policy, Rule
from eliop2p.control.steering import NullSteering
from eliop2p.interfaces import ICatalog, Place
from eliop2p.model.chunk import ChunkId, Layout, ObjectKey, ObjectVersion
from eliop2p.operations import Operations

LAYOUT = Layout(ObjectKey(b"http://s", b"b", b"p/k"), ObjectVersion(b'"e"', 25), 10)
FIRST, SECOND, THIRD = (LAYOUT.chunk(index).id for index in range(3))


@implementer(ICatalog)
class Catalog:
    """
    Knows one object, two of whose three chunks are held.
    """

    def objects(self, bucket: bytes, prefix: bytes) -> Deferred[tuple[Layout, ...]]:
        """
        Give the object if it is asked for.
        """
        found = bucket == b"b" and b"p/k".startswith(prefix)
        return succeed((LAYOUT,) if found else ())

    def places(self, names: tuple[ChunkId, ...]) -> Deferred[dict[ChunkId, Place]]:
        """
        Tell who holds them; the home of the third does not answer.
        """
        known = {FIRST: Place(("n1", "n2"), 3), SECOND: Place(("n1",), 0)}
        return succeed({name: known[name] for name in names if name in known})

    def adopt(self, bucket: bytes, prefix: bytes) -> Deferred[None]:
        """
        Do nothing.
        """
        return succeed(None)


class Steering(NullSteering):
    """
    Keeps a policy.
    """

    def __init__(self) -> None:
        self.kept = Policy(version=4)

    def policy(self) -> Deferred[Policy]:
        """
        Give it.
        """
        return succeed(self.kept)

    def set_policy(self, policy: Policy) -> Deferred[Policy]:
        """
        Replace it.
        """
        self.kept = attrs.evolve(policy, version=policy.version + 1)
        return succeed(self.kept)


class OperationsTests(SynchronousTestCase):
    """
    What operators are told.
    """

    def setUp(self) -> None:
        """
        Make a node with a control plane.
        """
        self.steering = Steering()
        self.operations = Operations(Catalog(), self.steering)

    def test_objects(self) -> None:
        """
        An object is described by what is held of it, and by whom.
        """
        asked = self.operations.objects({"prefix": "s3://b/p/"})
        self.assertEqual(
            self.successResultOf(asked),
            {
                "found": 1,
                "objects": [
                    {
                        "bucket": "b",
                        "key": "p/k",
                        "etag": '"e"',
                        "size": 25,
                        "chunks": 3,
                        "held": 2,
                        "replicas": 0,
                        "nodes": {"n1": 2, "n2": 1},
                    }
                ],
            },
        )
        asked = self.operations.objects({"prefix": "s3://other/"})
        self.assertEqual(self.successResultOf(asked), {"found": 0, "objects": []})

    def test_rules(self) -> None:
        """
        Rules are set and removed on top of what is there; to look changes nothing.
        """
        rule = {"prefix": "s3://b/", "replicas": 3, "pinned": True}
        self.successResultOf(self.operations.replication({"set": rule}))
        self.assertEqual(self.steering.kept.rules, (Rule("s3://b/", 3, pinned=True),))
        shown = self.successResultOf(self.operations.replication({}))
        self.assertEqual((shown["rules"], shown["version"]), ([rule], 5))
        self.successResultOf(self.operations.replication({"remove": "s3://b/"}))
        self.assertEqual(self.steering.kept.rules, ())

    def test_nobody_keeps_it(self) -> None:
        """
        Without a control plane a rule is refused rather than forgotten, with what is
        to be set.
        """
        operations = Operations(Catalog(), NullSteering())
        asked = operations.replication({"set": {"prefix": "s3://b/", "replicas": 3}})
        failure = self.failureResultOf(asked, ControlPlaneError)
        self.assertIn("set [control_plane] endpoint", failure.getErrorMessage())

    def test_wrong(self) -> None:
        """
        What makes no sense says what would.
        """
        wrong: tuple[dict[str, object], ...] = (
            {"set": 1},
            {"set": {"prefix": "b", "replicas": 1}},
            {"set": {"prefix": "s3://b/", "replicas": 0}},
            {"set": {"prefix": "s3://b/", "replicas": "2"}},
            {"set": {"replicas": 2}},
            {"remove": 1},
        )
        for asked in wrong:
            self.assertRaises(ValueError, self.operations.replication, asked)
        wrong = ({}, {"prefix": 1}, {"prefix": "b/p"})
        for asked in wrong:
            self.assertRaises(ValueError, self.operations.objects, asked)
