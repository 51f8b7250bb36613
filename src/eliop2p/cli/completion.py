"""
``eliop2p completion``: what makes a shell complete commands and options.
"""

import click
from click.shell_completion import get_completion_class

VARIABLE = "_ELIOP2P_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """
    Write what SHELL has to read to complete commands and options with the tab key.

    For bash, once: eliop2p completion bash >> ~/.bash_completion
    """
    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root().command
    click.echo(found(root, {}, "eliop2p", VARIABLE).source())
