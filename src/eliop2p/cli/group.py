"""
A group of commands that knows what a mistyped one was meant to be.
"""

import difflib

import click


class SuggestingGroup(click.Group):
    """
    A group that suggests the nearest command.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """
        Find the command that the arguments name.

        Raises:
            click.UsageError: There is no such command; the nearest one is suggested.
        """
        word = args[0]
        known = self.list_commands(ctx)
        if self.get_command(ctx, word) is None and not word.startswith("-"):
            close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"There is no command {word!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)
