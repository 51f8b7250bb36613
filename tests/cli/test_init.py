"""
Tests for :mod:`eliop2p.cli.init`.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.config import load_node_config
from eliop2p.base.config_keys import KEYS
from tests.cli.capture import run_cli


class InitTests(SynchronousTestCase):
    """
    ``eliop2p init``.
    """

    def setUp(self) -> None:
        """
        Choose a file.
        """
        self.path = Path(self.mktemp())

    def test_usable(self) -> None:
        """
        What is written can be used as it is, sets what was asked for, and nobody else
        can read it.
        """
        ran = run_cli(
            *("init", str(self.path), "--storage-endpoint", "http://minio:9000"),
            *("--control-plane", "10.0.0.1"),
        )
        self.assertEqual(ran.code, 0)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        config = load_node_config(str(self.path), {}, {})
        self.assertEqual(config.storage.endpoint, "http://minio:9000")
        self.assertEqual(config.control_plane.endpoint, "10.0.0.1")
        assert config.p2p.cluster_secret is not None
        self.assertNotIn(config.p2p.cluster_secret.reveal(), ran.output + ran.errors)

    def test_every_key(self) -> None:
        """
        Every key of a node is there with its meaning, and a default that is valid.
        """
        run_cli("init", str(self.path))
        text = self.path.read_text()
        wanted = [key for key in KEYS if key.section != "control_plane_server"]
        for key in wanted:
            self.assertIn(f"{key.name} =", text, key.label)
        shown = [
            line.removeprefix("# ") if "=" in line.partition(" ")[2][:40] else line
            for line in text.splitlines()
            if not line.startswith("# ") or line.split()[1:3][-1:] == ["="]
        ]
        kept = [
            line
            for line in shown
            if not line.startswith("#") and not line.rstrip().endswith("=")
        ]
        whole = self.path.with_suffix(".all")
        whole.write_text("\n".join(kept))
        config = load_node_config(str(whole), {}, {})
        self.assertEqual(config.proxy.listen_port, 8080)

    def test_fresh(self) -> None:
        """
        Each file has a secret of its own.
        """
        other = self.path.with_suffix(".other")
        for path in (self.path, other):
            run_cli("init", str(path))
        secrets = [
            line
            for path in (self.path, other)
            for line in path.read_text().splitlines()
            if line.startswith("cluster_secret =")
        ]
        self.assertEqual(len(set(secrets)), 2)

    def test_never_overwrites(self) -> None:
        """
        A file that is there stays as it is.
        """
        self.path.write_text("mine")
        ran = run_cli("init", str(self.path))
        self.assertEqual(ran.code, 1)
        self.assertIn("is there already", ran.errors)
        self.assertEqual(self.path.read_text(), "mine")

    def test_nowhere(self) -> None:
        """
        A directory that is not there is named.
        """
        ran = run_cli("init", str(self.path / "node.ini"))
        self.assertEqual(ran.code, 1)
        self.assertIn("cannot be written", ran.errors)
