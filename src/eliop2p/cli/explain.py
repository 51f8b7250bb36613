"""
``eliop2p explain``: why a request was answered as it was.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Group

from eliop2p.cli.admin_api import Admin, admin_options, not_a_node
from eliop2p.cli.show import (
    printable,
    readable_bytes,
    readable_moment,
    show,
    table,
)

_NAME = re.compile(r"[0-9A-Za-z_.-]{1,64}")


def _result(answer: dict[str, Any]) -> str:
    if answer["running"]:
        return "under way"
    cache = f", cache {printable(answer['cache'])}" if answer["cache"] else ""
    return f"{int(answer['status']) or 'no answer'}{cache}"


def _asked(question: dict[str, Any]) -> str:
    took = readable_moment(question["seconds"])
    name = printable(question["request_id"])
    another = f" (a node that calls it {name})" if name else ""
    return f"{int(question['status']) or 'no answer'} in {took}{another}"


def _store(answer: dict[str, Any]) -> str:
    asked = [_asked(each) for each in answer["store"]]
    return f"{printable(answer['auth'])}: {', '.join(asked) or 'no question'}"


def _head(answer: dict[str, Any]) -> list[tuple[str, str]]:
    started = datetime.fromtimestamp(float(answer["started"]), UTC)
    rows = [
        ("line", printable(f"{answer['method']} {answer['target']}")),
        ("came", started.isoformat(sep=" ", timespec="milliseconds")),
        ("answer", _result(answer)),
        ("store said", _store(answer)),
        ("first byte", readable_moment(answer["first_byte"])),
        ("last byte", readable_moment(answer["seconds"])),
        ("sent", readable_bytes(int(answer["sent"]))),
    ]
    if answer["error"]:
        rows.append(("failed", printable(answer["error"])))
    return rows


def _chunk(chunk: dict[str, Any]) -> tuple[str, ...]:
    source = printable(chunk["source"])
    return (
        str(int(chunk["index"])),
        f"{source} {printable(chunk['peer'])}".strip(),
        readable_bytes(int(chunk["bytes"])),
        readable_moment(chunk["waited"]),
        readable_moment(chunk["queued"]),
        str(int(chunk["retries"])),
        printable(chunk["reason"]),
    )


def _step(chunk: dict[str, Any], step: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(int(chunk["index"])),
        printable(f"{step['what']} {step['name']}").strip(),
        printable(step["outcome"]),
        readable_bytes(int(step["bytes"])),
        readable_bytes(int(step["discarded"])),
        readable_moment(step["seconds"]),
        printable(step["why"]),
    )


def render(answer: dict[str, Any], *, steps: bool) -> Group:
    """
    Lay out an explanation for a terminal.

    Raises:
        KeyError, TypeError, ValueError: It is something else.
    """
    chunks = answer["chunks"]
    parts = [table("request", printable(answer["request_id"]), rows=_head(answer))]
    if chunks:
        headings = ("chunk", "from", "bytes", "waited", "queued", "retries", "because")
        parts.append(table(*headings, rows=[_chunk(each) for each in chunks]))
    if steps:
        tried = [_step(chunk, step) for chunk in chunks for step in chunk["steps"]]
        columns = (
            *("chunk", "asked", "outcome", "bytes", "discarded", "took"),
            "why or answer",
        )
        parts.append(table(*columns, rows=tried))
    spaced: list[Any] = [parts[0]]
    for part in parts[1:]:
        spaced += ["", part]
    if answer["chunks_left_out"]:
        spaced += ["", f"and {int(answer['chunks_left_out'])} more chunks"]
    return Group(*spaced)


@click.command()
@click.argument("request_id")
@click.option("--steps", is_flag=True, help="Show everything that was tried.")
@admin_options
def explain(admin: Admin, as_json: bool, request_id: str, steps: bool) -> None:
    """
    Say where each chunk of an answer came from, and why.

    REQUEST_ID is what the header X-Elio-Request-Id of the answer says; the node that
    gave the answer is the one to ask.
    """
    if not _NAME.fullmatch(request_id):
        raise click.BadParameter(
            "expected the value of an answer's X-Elio-Request-Id", param_hint="ID"
        )
    data = admin.ask(f"/api/v1/explain/{request_id}")
    try:
        answer = json.loads(data)
        shown = render(answer, steps=steps)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise not_a_node(admin) from None
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        show(shown)
