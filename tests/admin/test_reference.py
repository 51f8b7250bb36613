"""
``docs/reference/admin-api.md`` says what the admin port serves.
"""

import re
from pathlib import Path

import attrs
from twisted.application.service import IServiceCollection
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from eliop2p.admin import explain
from eliop2p.admin.evict import Evicted
from eliop2p.admin.service import AdminServer
from eliop2p.admin.status import NodeStatus
from eliop2p.model.peer import PeerStanding
from eliop2p.node import Node
from eliop2p.testing.cluster import Cluster, Plan

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "admin-api.md"


def attributes(value: type[attrs.AttrsInstance]) -> list[str]:
    """
    Give the fields of a value in order.
    """
    return [each.name for each in attrs.fields(value)]


def keys(fields: type, without: type = object) -> list[str]:
    """
    Give the fields that a dictionary has and another has not, in order.
    """
    others = vars(without).get("__annotations__", {})
    return [name for name in vars(fields)["__annotations__"] if name not in others]


OBJECT = ["bucket", "key", "etag", "size", "chunks", "held", "replicas", "nodes"]
POLICY = ["version", "min_replicas", "max_replicas", "rules"]
"""
The fields of answers that have no class; a cluster is asked for them below.
"""

SECTIONS: dict[str, list[list[str]]] = {
    "GET /api/v1/status": [attributes(NodeStatus)],
    "GET /api/v1/peers": [attributes(PeerStanding)],
    "GET /api/v1/requests": [keys(explain.SummaryFields)],
    "GET /api/v1/explain/ID": [
        keys(explain.RequestFields, explain.SummaryFields),
        keys(explain.ChunkFields),
        keys(explain.StepFields),
        keys(explain.AskFields),
    ],
    "GET /api/v1/events": [],
    "POST /api/v1/evict": [attributes(Evicted)],
    "POST /api/v1/objects": [OBJECT],
    "POST /api/v1/replication": [POLICY],
}


class ReferenceTests(SynchronousTestCase):
    """
    The reference against the code.
    """

    def test_fields(self) -> None:
        """
        Every field of every answer has its row, and there are no others.
        """
        text = REFERENCE.read_text(encoding="utf-8")
        parts = re.split(r"^## `(.+)`$", text, flags=re.MULTILINE)
        listed = {
            name: [
                re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
                for table in re.split(r"^\| field .*$", section, flags=re.MULTILINE)[1:]
            ]
            for name, section in zip(parts[1::2], parts[2::2], strict=True)
        }
        self.assertEqual(listed, SECTIONS)


def pages(node: Node) -> Resource:
    """
    Find what a node serves below ``/api/v1``.
    """
    for service in node:
        for part in IServiceCollection(service, ()):
            if isinstance(part, AdminServer):
                site = part._site
                assert isinstance(site, Site)
                found: Resource = site.resource.children[b"api"].children[b"v1"]
                return found
    raise AssertionError("the node has no admin port")


class NodeTests(SynchronousTestCase):
    """
    The reference against a running node.
    """

    def setUp(self) -> None:
        """
        Start a cluster that holds an object.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        self.cluster = Cluster(directory, Plan(nodes=2))
        self.cluster.store.put(b"/bucket/key", bytes(100_000))
        self.cluster.start()
        self.addCleanup(self.cluster.stop)
        self.node = self.cluster.members[0].running
        self.cluster.read_all(b"/bucket/key")

    def ask(self, answer: "Deferred[dict[str, object]]") -> dict[str, object]:
        """
        Wait for an answer.
        """
        return self.cluster.wait(answer)

    def test_pages(self) -> None:
        """
        Every page has its section and its line at the top, and there are no others.
        """
        names = {
            f"/api/v1/{name.decode()}" for name in pages(self.node).listStaticNames()
        }
        self.assertEqual(
            {each.split()[1].removesuffix("/ID") for each in SECTIONS}, names
        )
        top = REFERENCE.read_text(encoding="utf-8").partition("\n## ")[0]
        listed = re.findall(r"^\| `(/api/[\w/]+)`", top, re.MULTILINE)
        self.assertEqual({each.removesuffix("/ID") for each in listed}, names)

    def test_objects(self) -> None:
        """
        What is told of an object has the fields that are listed.
        """
        operations = self.node.steered.operations
        answer = self.ask(operations.objects({"prefix": "s3://bucket/"}))
        objects = answer["objects"]
        assert isinstance(objects, list)
        self.assertEqual([list(each) for each in objects], [OBJECT])

    def test_replication(self) -> None:
        """
        The policy has the fields that are listed.
        """
        answer = self.ask(self.node.steered.operations.replication({}))
        self.assertEqual(list(answer), POLICY)
