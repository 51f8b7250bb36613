"""
The reference tables of the protocol, written from the code's own tables.

``python -m eliop2p.wire.describe`` prints them, in Markdown.
"""

import inspect
import re
import sys
from collections.abc import Iterator

from eliop2p.wire.codec import FRAMES, Frame
from eliop2p.wire.events import Message

_ATTRIBUTE = re.compile(r"    (\w+): (.+(?:\n        .+)*)")
_REFERENCE = re.compile(r":(?:class|data|meth):`~?(?:\w+\.)*(\w+)`")


def _plain(text: str) -> str:
    joined = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
    return _REFERENCE.sub(r"`\1`", joined)


def _meanings(message: type[Message]) -> dict[str, str]:
    text = inspect.getdoc(message) or ""
    return {name: _plain(meaning) for name, meaning in _ATTRIBUTE.findall(text)}


def _rows(frame: Frame) -> Iterator[str]:
    meanings = _meanings(frame.message)
    for name, field in frame.parts:
        yield f"| `{name}` | {field.name} | {meanings.get(name, '')} |"
    if frame.streamed:
        most = frame.maximum - frame.layout.maximum
        yield f"| `payload` | 1 to {most} bytes, to the end | Those bytes. |"


def _section(frame: Frame) -> Iterator[str]:
    summary = (inspect.getdoc(frame.message) or "").partition("\n\n")[0]
    yield f"### {frame.kind}: {frame.message.__name__}"
    yield ""
    yield f"{_plain(summary)} At most {frame.maximum} bytes."
    yield ""
    rows = list(_rows(frame))
    if rows:
        yield from ("| field | encoding | meaning |", "|---|---|---|", *rows, "")


def describe() -> str:
    """
    Give a section for each type of frame, in the order of their numbers.
    """
    lines = [line for frame in FRAMES for line in _section(frame)]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(describe())
