"""
``docs/reference/admin-api.md`` says what the admin port serves.
"""

import re
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.admin import explain
from eliop2p.admin.evict import Evicted
from eliop2p.admin.status import NodeStatus
from eliop2p.model.peer import PeerStanding

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


SECTIONS: dict[str, list[list[str]]] = {
    "GET /api/v1/status": [attributes(NodeStatus)],
    "GET /api/v1/peers": [attributes(PeerStanding)],
    "GET /api/v1/requests": [keys(explain.SummaryFields)],
    "GET /api/v1/explain/ID": [
        keys(explain.RequestFields, explain.SummaryFields),
        keys(explain.ChunkFields),
        keys(explain.StepFields),
    ],
    "GET /api/v1/events": [],
    "POST /api/v1/evict": [attributes(Evicted)],
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
