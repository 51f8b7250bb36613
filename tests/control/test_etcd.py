"""
Tests for what is read out of etcd; real clusters are in ``tests/functional``.
"""

from base64 import b64encode

from hypothesis import given
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.bodies import Body
from eliop2p.control.etcd import EtcdControlPlane, apply_entries, lease_seconds
from eliop2p.control.etcd_gateway import Entry, EtcdGateway, Watched, read_watched
from eliop2p.control.fields import BadMessage, encode
from eliop2p.control.messages import node_to_json
from eliop2p.control.steering import ISteering, NullSteering
from eliop2p.interfaces import IControlPlane
from eliop2p.model.peer import Membership
from tests.control.support import Server, node
from tests.control.test_messages import json_values


def entry(name: str, key: str = "") -> Entry:
    """
    Make a node's key as it is in etcd.
    """
    value = encode(node_to_json(node(name)))
    return Entry(f"/eliop2p/nodes/{key or name}", value)


def encoded(text: str) -> str:
    """
    Write a text as etcd's gateway does.
    """
    return b64encode(text.encode()).decode()


class EtcdTests(SynchronousTestCase):
    """
    What is promised of etcd's answers.
    """

    def test_interfaces(self) -> None:
        """
        Etcd is a control plane with steering, and none at all steers too.
        """
        agent, clock = Server().agent, Clock()
        plane = EtcdControlPlane(EtcdGateway(["http://a"], agent, clock), clock, 10)
        verifyObject(IControlPlane, plane)
        verifyObject(ISteering, plane)
        verifyObject(ISteering, NullSteering())
        self.assertEqual(Body(b"abc").length, 3)

    def test_entries(self) -> None:
        """
        Members come, change and go by their keys; what is no node, or not under its own
        key, is left out.
        """
        known = Membership(1, {"a": node("a")})
        gone = Entry("/eliop2p/nodes/a", b"")
        strange = Entry("/eliop2p/nodes/x", b"{}")
        wrong = entry("c", key="other")
        found = apply_entries(known, (entry("b"), gone, strange, wrong), 7)
        self.assertEqual(found, Membership(7, {"b": node("b")}))

    def test_watched(self) -> None:
        """
        Events are read with their revision, and a compacted history is told apart.
        """
        put = {"kv": {"key": encoded("k"), "value": encoded("v")}}
        delete = {"type": "DELETE", "kv": {"key": encoded("k")}}
        header = {"revision": "9"}
        message = {"result": {"header": header, "events": [put, delete]}}
        entries = (Entry("k", b"v"), Entry("k", b""))
        self.assertEqual(read_watched(message), Watched(entries, 9))
        result = {"header": {}, "canceled": True, "compact_revision": "3"}
        self.assertTrue(read_watched({"result": result}).compacted)
        put["kv"]["key"] = "%"
        message = {"result": {"header": header, "events": [put]}}
        self.assertRaises(BadMessage, read_watched, message)

    @given(json_values)
    def test_any_message(self, value: object) -> None:
        """
        Whatever comes is read or refused.
        """
        for message in (value, {"result": value}, {"result": {"events": value}}):
            try:
                read_watched(message)
            except BadMessage as error:
                self.assertTrue(error.remedy)

    def test_nobody_there(self) -> None:
        """
        What no member answers fails with every member's reason.
        """
        server = Server()
        gateway = EtcdGateway(["http://a", "http://b"], server.agent, server.clock)
        plane = EtcdControlPlane(gateway, server.clock, 10)
        asked = plane.policy()
        server.agent.flush()
        failure = self.failureResultOf(asked, ControlPlaneError)
        for name in ("http://a", "http://b"):
            self.assertIn(name, failure.getErrorMessage())

    def test_lease(self) -> None:
        """
        A lease outlives three heartbeats, and an election in etcd.
        """
        self.assertEqual(lease_seconds(0.5), 10)
        self.assertEqual(lease_seconds(7.5), 23)
