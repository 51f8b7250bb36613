"""
Tests for :mod:`eliop2p.cli.demo`: the command as a process.
"""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.capture import run_cli

BOUND = 60
COMMAND = [sys.executable, "-c", "from eliop2p.cli.main import main; main()", "demo"]
SHARES = re.compile(r"(node\d) +│ equal +│" + r" (\d+) MiB +│" * 4)


class DemoTests(SynchronousTestCase):
    """
    ``eliop2p demo``.
    """

    def setUp(self) -> None:
        """
        Make a place for what the demo writes.
        """
        self.scratch = Path(self.mktemp()).absolute()
        self.scratch.mkdir()

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """
        Start the demo as a group of processes of its own.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ELIOP2P_")}
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={**kept, "TMPDIR": str(self.scratch), "COLUMNS": "80"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self.addCleanup(self.finish, process)
        return process

    def finish(self, process: "subprocess.Popen[str]") -> None:
        """
        End whatever a failed test has left.
        """
        if self.alive(process):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def alive(self, process: "subprocess.Popen[str]") -> bool:
        """
        Tell whether anything that the demo started is there.
        """
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def interrupted(self, *signals: signal.Signals, when: str) -> str:
        """
        Send signals to the demo alone once it has written something, and check that
        nothing is left.

        Returns:
            What it wrote from then on.
        """
        process = self.start("--size", "24", "--keep")
        assert process.stdout is not None
        while when not in process.stdout.readline():
            self.assertIsNone(process.poll())
        for each in signals:
            process.send_signal(each)
        rest, _ = process.communicate(timeout=BOUND)
        self.assertFalse(self.alive(process))
        self.assertEqual(list(self.scratch.iterdir()), [])
        self.assertNotIn("Traceback", rest)
        return rest

    def test_numbers(self) -> None:
        """
        Every node gives the right bytes and says where they came from, the store is
        read once, and all of it fits a terminal of 80 columns or a file.
        """
        process = self.start("--size", "24")
        output, _ = process.communicate(timeout=2 * BOUND)
        self.assertEqual(process.returncode, 0, output)
        self.assertFalse(self.alive(process))
        self.assertEqual(list(self.scratch.iterdir()), [])
        self.assertIn("The store sent 1.0", output)
        self.assertIn("0.000 times for the warm one", " ".join(output.split()))
        self.assertTrue(output.endswith("All as promised.\n"))
        rows = [match.groups() for match in SHARES.finditer(output)]
        self.assertEqual([row[0] for row in rows], ["node1", "node2", "node3"] * 2)
        totals = [sum(map(int, shares)) for _, *shares in rows]
        # Shares are rounded to whole MiB, each by itself.
        self.assertTrue(all(abs(total - 24) <= 2 for total in totals), totals)
        lines = output.splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertLess(len(lines), 32)
        self.assertNotIn("\x1b", output)
        self.assertNotIn("\r", output)

    def test_interrupted_at_start(self) -> None:
        """
        Ctrl-C while the nodes start leaves no process and no file.
        """
        rest = self.interrupted(signal.SIGINT, when="Starting")
        self.assertIn("interrupted", rest)

    def test_interrupted_while_reading(self) -> None:
        """
        SIGTERM while clients read, and impatience after it, leave nothing either.
        """
        self.interrupted(signal.SIGTERM, signal.SIGINT, signal.SIGINT, when="Cold")

    def test_kept(self) -> None:
        """
        With ``--keep`` the cluster stays until Ctrl-C.
        """
        rest = self.interrupted(signal.SIGINT, when="Still running")
        self.assertIn("Stopping", rest)
        self.assertIn("All as promised.", rest)

    def test_dashboards(self) -> None:
        """
        With ``--keep`` the address of each node's dashboard is told, and it is there.
        """
        process = self.start("--size", "8", "--keep")
        assert process.stdout is not None
        while "Still running" not in process.stdout.readline():
            self.assertIsNone(process.poll())
        told = [process.stdout.readline().split() for _ in range(3)]
        self.assertEqual([name for name, _ in told], ["node1:", "node2:", "node3:"])
        for _, url in told:
            with urllib.request.urlopen(url, timeout=BOUND) as answer:
                self.assertIn(b"<title>ElioP2P</title>", answer.read())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=BOUND)
        self.assertFalse(self.alive(process))

    def test_wrong_sizes(self) -> None:
        """
        Sizes that make no sense are usage errors.
        """
        for arguments in (("--size", "0"), ("--nodes", "0"), ("--size", "x")):
            self.assertEqual(run_cli("demo", *arguments).code, 64)

    def test_start_failure(self) -> None:
        """
        When a node does not start, its own last words are shown in one line.
        """
        # A port that cannot be: the configuration is refused.
        with mock.patch("eliop2p.cli.demo.free_ports", lambda count: [0xFFFFF] * count):
            ran = run_cli("demo", "--size", "1")
        self.assertEqual(ran.code, 1)
        (line,) = ran.errors.splitlines()
        self.assertTrue(line.startswith("Error: origin ended at its start: "), line)
