"""
Tests for ``docs/reference/control-api.md``.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.control.metrics import ControlMetrics
from eliop2p.control.openapi import describe_api
from eliop2p.control.registry import Registry
from eliop2p.control.routes import ROUTES
from tests.control.server_case import ask
from tests.control.support import Server

REFERENCE = Path(__file__).parents[2] / "docs/reference/control-api.md"
_EXAMPLE = re.compile(
    r"```http\n(?P<method>[A-Z]+) (?P<path>\S+)\n(?P<body>.*?)\n*"
    r"(?P<status>[0-9]{3})\n(?P<answer>.*?)\n```",
    re.DOTALL,
)


def properties(schema: object) -> set[str]:
    """
    Find the names of all fields in a schema, at any depth.
    """
    found: set[str] = set()
    if isinstance(schema, dict):
        inner = schema.get("properties")
        found = set(inner) if isinstance(inner, dict) else set()
    values = schema.values() if isinstance(schema, dict) else schema
    if isinstance(values, str) or not isinstance(values, Iterable):
        return found
    return found.union(*map(properties, values))


class ReferenceTests(SynchronousTestCase):
    """
    What the reference promises.
    """

    def setUp(self) -> None:
        """
        Read the reference.
        """
        self.text = REFERENCE.read_text(encoding="utf-8")

    def test_routes(self) -> None:
        """
        Every route has a section of its own, and no section is about another.
        """
        titles = re.findall(r"^## `(.+)`$", self.text, re.MULTILINE)
        self.assertEqual(sorted(titles), sorted(route.title for route in ROUTES))

    def test_examples(self) -> None:
        """
        The examples, made in order, are answered as the reference says; every JSON
        route has one.
        """
        server = Server()
        seen: set[str] = set()
        for example in _EXAMPLE.finditer(self.text):
            method, path = example["method"], example["path"]
            body = json.loads(example["body"]) if example["body"].strip() else None
            reply = ask(server, method, path, body)
            self.assertEqual(reply.status, int(example["status"]), path)
            self.assertEqual(reply.json(), json.loads(example["answer"]), path)
            path = path.replace("repair-1", "{command}").partition("?")[0]
            seen.add(f"{method} {re.sub('node-[0-9]', '{id}', path)}")
        unshown = {"metrics", "openapi"}
        wanted = {route.title for route in ROUTES if route.name not in unshown}
        self.assertEqual(seen, wanted)

    def test_fields(self) -> None:
        """
        Each section names every field that a request may have, and no request that it
        shows has another.
        """
        parts = re.split(r"^## `(.+)`$", self.text, flags=re.MULTILINE)
        sections = dict(zip(parts[1::2], parts[2::2], strict=True))
        paths = describe_api(ROUTES)["paths"]
        assert isinstance(paths, dict)
        for path, methods in paths.items():
            for method, about in methods.items():
                known = properties(about.get("requestBody", {}))
                section = sections[f"{method.upper()} {path}"]
                named = set(re.findall(r"[`\"](\w+)[`\"]", section))
                self.assertLessEqual(known, named, path)
                for example in _EXAMPLE.finditer(section):
                    shown = set(re.findall(r'"(\w+)":', example["body"]))
                    self.assertLessEqual(shown, known, path)

    def test_metrics(self) -> None:
        """
        The table of metrics is what Prometheus is told, with kind, labels and help.
        """
        metrics = ControlMetrics(Registry(10, 1))
        metrics.requests[200] += 1
        rows = []
        for family in metrics.collect():
            name = family.samples[0].name
            labels = ", ".join(f"`{label}`" for label in family.samples[0].labels)
            cells = (f"`{name}`", family.type, labels, family.documentation)
            rows.append("| " + " | ".join(cells).replace("|  |", "| |") + " |")
        last = self.text.partition("\n## `GET /metrics`")[2]
        table = [line for line in last.splitlines() if line.startswith("| `")]
        self.assertEqual(table, rows)
