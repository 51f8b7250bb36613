"""
Running the console script within a test.
"""

import io
from contextlib import redirect_stderr, redirect_stdout

import attrs

from eliop2p.cli.main import run


@attrs.frozen
class Ran:
    """
    What a command did.

    Attributes:
        code: Its exit code.
        output: What it wrote to standard output.
        errors: What it wrote to standard error.
    """

    code: int
    output: str
    errors: str


def run_cli(*arguments: str) -> Ran:
    """
    Run ``eliop2p`` with arguments.
    """
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        code = run(arguments)
    return Ran(code, output.getvalue(), errors.getvalue())
