"""
``eliop2p config``: what is wrong with a configuration, and what holds.
"""

import json
import os
from collections.abc import Callable

import attrs
import click

from eliop2p.base.config import effective, load_control_config, load_node_config
from eliop2p.base.config_keys import BY_PATH, KEYS
from eliop2p.cli.group import SuggestingGroup


def _key_options(command: click.Command) -> click.Command:
    """
    Give a command the flags of every key, unlisted: they are in the reference.
    """
    for key in KEYS:
        flags = [f"--{flag}" for flag in key.flags]
        name = key.path.replace(".", "__")
        command.params.append(click.Option([name, *flags], hidden=True))
    return command


@click.group(cls=SuggestingGroup)
def config() -> None:
    """
    Check and show configurations.
    """


@config.command()
@click.argument("file")
@click.option("--control", is_flag=True, help="FILE is for the control plane.")
def check(file: str, control: bool) -> None:
    """
    Say everything that is wrong with FILE, together with the environment.
    """
    load: Callable[..., object] = load_control_config if control else load_node_config
    load(file, os.environ, {})
    click.echo(f"{file}: ok")


@_key_options
@config.command()
@click.option("--config", "file", metavar="FILE", help="The INI file; none if missing.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def show(file: str | None, as_json: bool, **flags: str | None) -> None:
    """
    Show the value of every key and where it comes from.

    Understands the flags of every key, as twist eliop2p does.
    """
    given = {
        path: text
        for path in BY_PATH
        if (text := flags[path.replace(".", "__")]) is not None
    }
    listed = effective(file, os.environ, given)
    if as_json:
        click.echo(json.dumps([attrs.asdict(entry) for entry in listed], indent=2))
        return
    rows = [("key", "value", "source")]
    rows += [(f"[{e.section}] {e.key}", e.value or "-", e.source) for e in listed]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for key, value, source in rows:
        click.echo(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source}")
