"""
What the documentation holds, as data.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- ([\w-]+)[^>]*-->\n\Z")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


@attrs.frozen
class Block:
    """
    A fenced block of a document.

    Attributes:
        language: What stands behind its fence.
        text: What is in it.
        mark: The comment right above it, empty when there is none.
    """

    language: str
    text: str
    mark: str


def blocks(document: Path) -> list[Block]:
    """
    Find the blocks of a document, in order.
    """
    text = document.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        mark = _MARK.search(text[: match.start()])
        found.append(Block(match[1], match[2], mark[1] if mark else ""))
    return found


def links(document: Path) -> Iterator[str]:
    """
    Find where a document points to.
    """
    prose = _FENCE.sub("", document.read_text(encoding="utf-8"))
    for match in _LINK.finditer(prose):
        yield match[1]


def anchors(document: Path) -> set[str]:
    """
    Give the anchors of a document's headings, as GitHub makes them.
    """
    prose = _FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = (match[1].lower() for match in _HEADING.finditer(prose))
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in headings}
