"""
Tests for :mod:`eliop2p.control_tap` and its plugin.
"""

import os
import socket
from pathlib import Path
from unittest import mock

from twisted.application.service import IService, IServiceMaker
from twisted.plugin import IPlugin, getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.control_tap import Options, makeService


class ControlTapTests(SynchronousTestCase):
    """
    What the command line of the control plane promises.
    """

    def setUp(self) -> None:
        """
        Make a directory to work in, and an environment without our variables.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ELIOP2P_")
        }
        self.patch(os, "environ", environ)

    def options(self, *arguments: str) -> Options:
        """
        Read a command line.
        """
        options = Options()
        options.parseOptions(["--data-dir", str(self.directory), *arguments])
        return options

    def file(self, text: str) -> str:
        """
        Write a configuration.
        """
        path = self.directory / "control.ini"
        path.write_text(text)
        return str(path)

    def test_plugin(self) -> None:
        """
        The command is found by its name, and leads to this module.
        """
        makers = [
            plugin
            for plugin in getPlugins(IServiceMaker)
            if plugin.tapname == "eliop2p-control"
        ]
        self.assertEqual(len(makers), 1)
        verifyObject(IServiceMaker, makers[0])
        verifyObject(IPlugin, makers[0])
        self.assertIs(makers[0].options, Options)

    def test_precedence(self) -> None:
        """
        The command line goes before the environment, that before the file.
        """
        path = self.file("[control_plane_server]\nlisten_port = 1\n")
        self.assertEqual(self.options("-c", path).config.server.listen_port, 1)
        name = "ELIOP2P_CONTROL_PLANE_SERVER_LISTEN_PORT"
        with mock.patch.dict(os.environ, {name: "2"}):
            self.assertEqual(self.options("-c", path).config.server.listen_port, 2)
            given = self.options("-c", path, "--listen-port", "3")
        self.assertEqual(given.config.server.listen_port, 3)

    def test_bind_address(self) -> None:
        """
        The address on the command line goes before the one in the file.
        """
        path = self.file("[control_plane_server]\nbind_address = 127.0.0.2\n")
        options = self.options("-c", path, "--bind-address", "127.0.0.3")
        self.assertEqual(options.config.server.bind_address, "127.0.0.3")

    def test_every_error(self) -> None:
        """
        Everything that is wrong with the configuration is told at once, a line each.
        """
        path = self.file("[control_plane_server]\nlisten_port = x\nport = 1\n")
        error = self.assertRaises(
            UsageError, self.options, "-c", path, "--heartbeat-timeout-sec", "0"
        )
        lines = str(error).splitlines()
        self.assertEqual(len(lines), 4, lines)
        self.assertIn("[control_plane_server] listen_port", str(error))
        self.assertIn("[control_plane_server] heartbeat_timeout_sec", str(error))

    def test_token_file(self) -> None:
        """
        The token may come from a file named on the command line.
        """
        path = self.directory / "token"
        path.write_text("s3cret\n")
        path.chmod(0o600)
        token = self.options("--token-file", str(path)).config.token
        assert token is not None
        self.assertEqual(token.reveal(), "s3cret")

    def test_service(self) -> None:
        """
        The options lead to a service that is not started yet.
        """
        service = makeService(self.options("--listen-port", "0"))
        verifyObject(IService, service)
        self.assertFalse((self.directory / "control.db").exists())

    def test_port_taken(self) -> None:
        """
        A taken port ends the process with status 1 and one line.
        """
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            service = makeService(self.options("--listen-port", str(port)))
            error = self.assertRaises(SystemExit, service.startService)
        self.assertRegex(str(error.code), r"^eliop2p-control: cannot listen on .*$")

    def test_unusable_database(self) -> None:
        """
        A database that cannot be used ends the process with status 1 and one line.
        """
        path = self.directory / "control.db"
        path.write_text("not a database " * 100)
        service = makeService(self.options("--listen-port", "0"))
        error = self.assertRaises(SystemExit, service.startService)
        self.assertRegex(str(error.code), r"^eliop2p-control: .*database = .*$")
