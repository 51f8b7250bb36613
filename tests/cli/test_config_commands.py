"""
Tests for :mod:`eliop2p.cli.config_commands`.
"""

import json
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.capture import run_cli


class ConfigCommandTests(SynchronousTestCase):
    """
    ``eliop2p config``.
    """

    def setUp(self) -> None:
        """
        Take what concerns us out of the environment.
        """
        for name in [name for name in os.environ if name.startswith("ELIOP2P_")]:
            self.patch_environment(name, None)

    def patch_environment(self, name: str, value: str | None) -> None:
        """
        Set or remove a variable for the duration of the test.
        """
        old = os.environ.pop(name, None)
        self.addCleanup(os.environ.pop, name, None)
        if old is not None:
            self.addCleanup(os.environ.__setitem__, name, old)
        if value is not None:
            os.environ[name] = value

    def write(self, text: str) -> str:
        """
        Write a configuration and give its path.
        """
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def test_check(self) -> None:
        """
        A right configuration is told so.
        """
        path = self.write("[storage]\nendpoint = http://s\n")
        ran = run_cli("config", "check", path)
        self.assertEqual((ran.code, ran.output), (0, f"{path}: ok\n"))

    def test_check_problems(self) -> None:
        """
        Every problem has a line of its own.
        """
        path = self.write("[storage]\nendpoint = s\n[prox]\n")
        ran = run_cli("config", "check", path)
        self.assertEqual(ran.code, 64)
        self.assertEqual(len(ran.errors.splitlines()), 2)
        self.assertIn("did you mean proxy?", ran.errors)

    def test_check_takes_environment(self) -> None:
        """
        What the environment gives counts, right or wrong.
        """
        path = self.write("")
        self.patch_environment("ELIOP2P_STORAGE_ENDPOINT", "http://s")
        self.assertEqual(run_cli("config", "check", path).code, 0)
        self.patch_environment("ELIOP2P_NONSENSE", "1")
        self.assertEqual(run_cli("config", "check", path).code, 64)

    def test_check_control(self) -> None:
        """
        A control plane needs no store.
        """
        path = self.write("[control_plane_server]\nlisten_port = 1\n")
        self.assertEqual(run_cli("config", "check", path).code, 64)
        self.assertEqual(run_cli("config", "check", "--control", path).code, 0)

    def test_show(self) -> None:
        """
        Every value is shown with the place it came from.
        """
        path = self.write("[proxy]\nlisten_port = 81\n")
        self.patch_environment("ELIOP2P_NODE_ID", "n1")
        arguments = ("--config", path, "--p2p-port", "99", "--p2p-cluster-secret", "x1")
        ran = run_cli("config", "show", *arguments)
        self.assertEqual(ran.code, 0)
        rows = [line.split() for line in ran.output.splitlines()]
        self.assertIn(["[proxy]", "listen_port", "81", f"{path}:2"], rows)
        source = ["environment", "ELIOP2P_NODE_ID"]
        self.assertIn(["[general]", "node_id", "n1", *source], rows)
        self.assertIn(["[p2p]", "listen_port", "99", "flag", "--p2p-port"], rows)
        self.assertIn(["[p2p]", "selection_k", "5", "default"], rows)
        self.assertNotIn("x1", ran.output)

    def test_show_json(self) -> None:
        """
        Programs get the same as JSON.
        """
        ran = run_cli("config", "show", "--json", "--proxy-listen-port", "81")
        entry = {
            "section": "proxy",
            "key": "listen_port",
            "value": "81",
            "source": "flag --proxy-port",
        }
        self.assertIn(entry, json.loads(ran.output))
