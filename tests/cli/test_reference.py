"""
``docs/reference/cli.md`` says what the commands do.
"""

import re
from pathlib import Path

import click
from twisted.python.usage import Options
from twisted.trial.unittest import SynchronousTestCase

from eliop2p import control_tap, tap
from eliop2p.cli.main import cli

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def sections() -> dict[str, str]:
    """
    Give what the reference says of each command.
    """
    text = REFERENCE.read_text(encoding="utf-8")
    parts = re.split(r"^## `(.+)`$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> list[str]:
    """
    Find the rows of the tables in a text, headings left out.
    """
    return [line for line in text.splitlines() if line.startswith("| `")]


def commands(command: click.Command, name: str) -> dict[str, click.Command]:
    """
    Give the commands below a command by their whole names.
    """
    if not isinstance(command, click.Group):
        return {name: command}
    return {
        whole: leaf
        for word, each in command.commands.items()
        for whole, leaf in commands(each, f"{name} {word}").items()
    }


def option_row(option: click.Option) -> str:
    """
    Make the row of an option.
    """
    takes = "" if option.is_flag else f" {option.metavar or 'N'}"
    default = f"`{option.default}`" if option.show_default else "none"
    return f"| `{option.opts[0]}{takes}` | {default} | {option.help} |"


def plugin_flags(options: type[Options]) -> dict[str, str]:
    """
    Give what a plugin's flags mean.
    """
    parameters: list[list[str]] = vars(options)["optParameters"]
    return {f"--{name}": text for name, _, _, text in parameters}


class ReferenceTests(SynchronousTestCase):
    """
    The reference against the code.
    """

    maxDiff = None

    def test_commands(self) -> None:
        """
        Every command has its section and its line in the table at the top, and there
        are no others.
        """
        names = {"twist eliop2p", "twist eliop2p-control", *commands(cli, "eliop2p")}
        self.assertEqual(set(sections()), names)
        top = REFERENCE.read_text(encoding="utf-8").partition("\n## ")[0]
        listed = [row.split("`")[1] for row in rows(top)]
        for name in names:
            self.assertTrue(
                any(f"{each} ".startswith(f"{name} ") for each in listed), name
            )

    def test_options(self) -> None:
        """
        Every option of a command has its row, with its default and its meaning.
        """
        for name, command in commands(cli, "eliop2p").items():
            shown = [
                option_row(each)
                for each in command.params
                if isinstance(each, click.Option) and not each.hidden
            ]
            self.assertEqual(rows(sections()[name]), shown)

    def test_node(self) -> None:
        """
        Every flag of a node is listed once, and no other.
        """
        table = "\n".join(rows(sections()["twist eliop2p"]))
        listed = re.findall(r"`(--[\w-]+)`", table)
        self.assertEqual(sorted(listed), sorted(plugin_flags(tap.Options)))

    def test_control_plane(self) -> None:
        """
        Every flag of the control plane has its row with its meaning.
        """
        flags = plugin_flags(control_tap.Options)
        expected = [f"| `{flag}` | {text} |" for flag, text in flags.items()]
        self.assertEqual(rows(sections()["twist eliop2p-control"]), expected)
