"""
Tests for :mod:`eliop2p.identity`.
"""

import random
from pathlib import Path
from typing import ClassVar
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.config import NodeConfig, load_node_config
from eliop2p.base.errors import StartError
from eliop2p.identity import describe_node, node_name, p2p_address, usable_directory


def configuration(**flags: str) -> NodeConfig:
    """
    Make a configuration; flags are ``section__key``.
    """
    given = {name.replace("__", "."): text for name, text in flags.items()}
    return load_node_config(None, {}, {"storage.endpoint": "http://s", **given})


class DirectoryTests(SynchronousTestCase):
    """
    Directories that an operator chooses.
    """

    def setUp(self) -> None:
        """
        Make a place for them.
        """
        self.base = Path(self.mktemp()).absolute()
        self.base.mkdir()

    def test_made(self) -> None:
        """
        A directory that is not there is made, one that is there is taken.
        """
        path = self.base / "a" / "b"
        for _ in range(2):
            self.assertEqual(usable_directory(str(path), "[s] k"), path)
            self.assertTrue(path.is_dir())

    def test_impossible(self) -> None:
        """
        A directory that cannot be made is told in one line, with the setting.
        """
        (self.base / "file").touch()
        for name in ("file", "file/below"):
            path = str(self.base / name)
            error = self.assertRaises(StartError, usable_directory, path, "[s] k")
            (line,) = str(error).splitlines()
            self.assertTrue(line.startswith(f"cannot use {path}: "))
            self.assertIn("[s] k", line)

    def test_not_writable(self) -> None:
        """
        A directory that belongs to somebody else is told in one line.
        """
        with mock.patch("os.access", return_value=False):
            error = self.assertRaises(
                StartError, usable_directory, str(self.base), "[s] k"
            )
        self.assertIn("cannot write to", str(error))
        self.assertIn("[s] k", str(error))


class NameTests(SynchronousTestCase):
    """
    What a node is called.
    """

    def setUp(self) -> None:
        """
        Make the node's directory.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.rng = random.Random(1)

    def name(self, config: NodeConfig) -> str:
        """
        Name the node.
        """
        return node_name(config, self.directory, self.rng)

    def test_configured(self) -> None:
        """
        The configured name holds, and replaces none that was made up.
        """
        config = configuration(general__node_id="gpu-7")
        self.assertEqual(self.name(config), "gpu-7")
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_kept(self) -> None:
        """
        A name that was made up from the host's is kept across restarts, and differs
        from that of another node on the host.
        """
        config = configuration()
        with mock.patch("socket.gethostname", return_value="gpu_7.example"):
            name = self.name(config)
            self.assertRegex(name, r"\Agpu-7\.example-[0-9a-f]{6}\Z")
            self.assertEqual(self.name(config), name)
            (self.directory / "node_id").unlink()
            self.assertNotEqual(self.name(config), name)

    def test_odd_host(self) -> None:
        """
        Whatever the host is called, the name is one that a configuration could give.
        """
        for host in ("", "-", "...", "ü", "h" * 255, "a b\n"):
            with mock.patch("socket.gethostname", return_value=host):
                name = self.name(configuration())
            again = configuration(general__node_id=name)
            self.assertEqual(again.general.node_id, name)
            (self.directory / "node_id").unlink()

    def test_damaged(self) -> None:
        """
        A file that holds no name, as a full disk leaves it, is written anew.
        """
        for content in (b"", b"\n", b"a b", b"\xff", b"x" * 5000):
            (self.directory / "node_id").write_bytes(content)
            name = self.name(configuration())
            self.assertRegex(name, r"-[0-9a-f]{6}\Z")
            self.assertEqual(self.name(configuration()), name)

    def test_not_kept(self) -> None:
        """
        A name that cannot be kept keeps the node from starting, in one line.
        """
        (self.directory / "node_id").mkdir()
        error = self.assertRaises(StartError, self.name, configuration())
        self.assertEqual(len(str(error).splitlines()), 1)
        self.assertIn("[general] node_id", str(error))


class AddressTests(SynchronousTestCase):
    """
    Where a node is reached.
    """

    secret: ClassVar = {"p2p__cluster_secret": "0123456789abcdef0123456789abcdef"}

    def host(self, **flags: str) -> str:
        """
        Give the host that others are told.
        """
        return describe_node(configuration(**flags), "n").host

    def test_without_secret(self) -> None:
        """
        Without a secret peers are served on loopback, whatever is configured.
        """
        config = configuration(general__bind_address="0.0.0.0")
        self.assertEqual(p2p_address(config), "127.0.0.1")
        self.assertEqual(self.host(general__bind_address="0.0.0.0"), "127.0.0.1")

    def test_with_secret(self) -> None:
        """
        With one they are served where the node listens.
        """
        config = configuration(general__bind_address="10.0.0.7", **self.secret)
        self.assertEqual(p2p_address(config), "10.0.0.7")
        self.assertEqual(
            self.host(
                general__bind_address="10.0.0.7",
                control_plane__endpoint="10.0.0.1",
                **self.secret,
            ),
            "10.0.0.7",
        )

    def test_advertised(self) -> None:
        """
        The address that an operator advertises goes before all others.
        """
        host = self.host(general__advertise_address="node-7.example", **self.secret)
        self.assertEqual(host, "node-7.example")

    def test_found(self) -> None:
        """
        A node that listens everywhere is reached where its packets to the control
        plane come from.
        """
        with mock.patch(
            "eliop2p.identity.own_address", return_value="10.1.2.3"
        ) as own_address:
            host = self.host(control_plane__endpoint="http://c:99", **self.secret)
        self.assertEqual(host, "10.1.2.3")
        own_address.assert_called_once_with("c", 99)

    def test_alone(self) -> None:
        """
        A node without a control plane is its own and only peer.
        """
        self.assertEqual(self.host(**self.secret), "127.0.0.1")

    def test_ports(self) -> None:
        """
        Others are told the ports and the zone.
        """
        config = configuration(
            p2p__listen_port="9001", proxy__listen_port="8001", general__zone="rack-7"
        )
        peer = describe_node(config, "n")
        self.assertEqual(
            (peer.node_id, peer.port, peer.proxy_port, peer.zone),
            ("n", 9001, 8001, "rack-7"),
        )
