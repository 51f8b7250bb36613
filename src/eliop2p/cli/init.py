"""
``eliop2p init``: a configuration to begin with.
"""

import os
import secrets
import textwrap
from pathlib import Path

import click

from eliop2p.base.config_keys import KEYS, SECTIONS, Key

_HEAD = """\
# A node of ElioP2P. Run it with: twist eliop2p --config {name}
#
# Lines that begin with "# key = value" show defaults. Check every change with:
#   eliop2p config check {name}
# The cluster secret below proves to other nodes that this one is of their cluster. Copy
# it to all of them, and to nobody else: this file is unreadable to other users.
"""

_FIRST = {
    "storage": "The store: this is the one thing that a node has to be told.",
    "p2p": "Other nodes.",
    "control_plane": "Who else is there. A node without a control plane serves alone.",
    "cache": "How much may be kept, and where.",
    "general": "The node itself.",
}
"""
The sections that are of interest first, and what they are about.
"""


def _default(key: Key) -> str:
    """
    Write a default as it may stand in the file.
    """
    return "" if "{" in key.default else key.default


def _entry(key: Key, value: str | None) -> list[str]:
    unit = f" ({key.unit})" if key.unit else ""
    lines = textwrap.wrap(
        f"{key.help}{unit}", 86, initial_indent="# ", subsequent_indent="# "
    )
    line = f"{key.name} = {_default(key) if value is None else value}".rstrip()
    return [*lines, f"# {line}" if value is None else line]


def compose(name: str, values: dict[str, str]) -> str:
    """
    Write a configuration.

    Args:
        name: What the file is called.
        values: What is set in it, by ``section.key``; all other keys are shown with
            their defaults.
    """
    order = [*_FIRST, *(each for each in SECTIONS if each not in _FIRST)]
    lines = [_HEAD.format(name=name)]
    for section in order:
        if section == "control_plane_server":
            continue  # The control plane has a file of its own.
        lines.append(f"[{section}]")
        if section in _FIRST:
            lines.append(f"# {_FIRST[section]}")
        for key in KEYS:
            if key.section == section:
                lines += ["", *_entry(key, values.get(key.path))]
        lines.append("")
    return "\n".join(lines)


@click.command()
@click.argument("file", default="node.ini", metavar="[FILE]")
@click.option(
    "--storage-endpoint",
    metavar="URL",
    default="http://127.0.0.1:9001",
    show_default=True,
    help="The store, as http(s)://host:port.",
)
@click.option(
    "--control-plane", metavar="HOST", default="", help="Where the control plane is."
)
def init(file: str, storage_endpoint: str, control_plane: str) -> None:
    """
    Write a commented configuration with a new cluster secret to FILE (node.ini).

    A file that is there already is left as it is.
    """
    path = Path(file)
    values = {
        "storage.endpoint": storage_endpoint,
        "p2p.cluster_secret": secrets.token_urlsafe(32),
    }
    if control_plane:
        values["control_plane.endpoint"] = control_plane
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(
            f"{path} is there already: name another file, or move it away"
        ) from None
    except OSError as error:
        raise click.ClickException(
            f"{path} cannot be written ({error.strerror}): name a file in a directory "
            "that is there and yours"
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(compose(path.name, values))
    click.echo(
        f"{path} is written. Look at [storage], then: eliop2p config check {path}"
    )
