"""
The console script: ``eliop2p``.
"""

import os
import sys
from collections.abc import Sequence

import click

from eliop2p import __version__
from eliop2p.base.errors import ConfigError, ElioError
from eliop2p.cli.completion import completion
from eliop2p.cli.config_commands import config
from eliop2p.cli.demo import demo
from eliop2p.cli.evict import evict
from eliop2p.cli.explain import explain
from eliop2p.cli.group import SuggestingGroup
from eliop2p.cli.init import init
from eliop2p.cli.peers import peers
from eliop2p.cli.preheat import preheat
from eliop2p.cli.replicas import objects, pin, replicas, unpin
from eliop2p.cli.simulate import simulate
from eliop2p.cli.status import status
from eliop2p.cli.top import top
from eliop2p.cli.verify import verify

DONE, FAILED, USAGE = 0, 1, 64


@click.group(
    cls=SuggestingGroup, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="eliop2p")
def cli() -> None:
    """
    Look at ElioP2P nodes and their configuration.

    A node itself is started with: twist eliop2p --config node.ini
    """


cli.add_command(completion)
cli.add_command(config)
cli.add_command(demo)
cli.add_command(evict)
cli.add_command(explain)
cli.add_command(init)
cli.add_command(peers)
cli.add_command(simulate)
cli.add_command(top)
cli.add_command(objects)
cli.add_command(pin)
cli.add_command(preheat)
cli.add_command(replicas)
cli.add_command(status)
cli.add_command(unpin)
cli.add_command(verify)


def run(arguments: Sequence[str]) -> int:
    """
    Run a command line.

    Returns:
        The exit code: 0 done, 1 failed, 64 usage or configuration.
    """
    try:
        result = cli.main(list(arguments), prog_name="eliop2p", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return USAGE if isinstance(error, click.UsageError) else FAILED
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return USAGE
    except (ElioError, click.Abort, KeyboardInterrupt) as error:
        click.echo(f"Error: {str(error) or 'interrupted'}", err=True)
        return FAILED
    except BrokenPipeError:
        # Whoever read our output has gone; nor can anything be flushed there at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return result if isinstance(result, int) else DONE


def main() -> None:
    """
    Run the command line of this process and exit.
    """
    sys.exit(run(sys.argv[1:]))
