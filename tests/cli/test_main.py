"""
Tests for :mod:`eliop2p.cli.main`.
"""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import eliop2p
from tests.cli.capture import run_cli


class MainTests(SynchronousTestCase):
    """
    The console script as a whole.
    """

    def test_version(self) -> None:
        """
        The version is told.
        """
        ran = run_cli("--version")
        self.assertEqual(ran.code, 0)
        self.assertIn(eliop2p.__version__, ran.output)

    def test_help(self) -> None:
        """
        Every command explains itself.
        """
        for command in ((), ("config",), ("config", "check"), ("status",), ("verify",)):
            ran = run_cli(*command, "--help")
            self.assertEqual(ran.code, 0)
            self.assertIn("Usage: eliop2p", ran.output)

    def test_unknown_command(self) -> None:
        """
        A mistyped command is a usage error that names the one that was meant.
        """
        ran = run_cli("staus")
        self.assertEqual(ran.code, 64)
        self.assertIn("Did you mean status?", ran.errors)
        ran = run_cli("config", "chek")
        self.assertEqual(ran.code, 64)
        self.assertIn("Did you mean check?", ran.errors)
        self.assertNotIn("Did you mean", run_cli("zzzzzz").errors)

    def test_wrong_usage(self) -> None:
        """
        A missing argument and an unknown option are usage errors.
        """
        for arguments in ((), ("config", "check"), ("status", "--nonsense")):
            ran = run_cli(*arguments)
            self.assertEqual(ran.code, 64)
            self.assertNotIn("Traceback", ran.errors)

    def test_reader_gone(self) -> None:
        """
        A reader that stops reading, as head does, causes no traceback.
        """
        code = "from eliop2p.cli.main import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, "config", "show", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            errors = process.stderr.read()
        self.assertEqual(errors, b"")
        self.assertIn(process.returncode, {0, 1})
