"""
Tests for :mod:`eliop2p.control.server_service`.
"""

import gc

import attrs
from twisted.application.service import IService
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from eliop2p.base.config import ControlConfig, load_control_config
from eliop2p.base.errors import StartError
from eliop2p.base.secret import Secret
from eliop2p.control import server
from eliop2p.control.fields import encode
from eliop2p.control.messages import node_to_json
from eliop2p.control.server_service import (
    ControlServer,
    build_control,
    choose_address,
    first_version,
)
from eliop2p.control.site import ControlSite
from eliop2p.net.network import ReactorNetwork
from tests.control.support import StepWorker, node


class _NoPort(ReactorNetwork):
    """
    A network whose ports are all taken.
    """

    def listen(self, host: str, port: int, factory: IProtocolFactory) -> IListeningPort:
        """
        Fail.
        """
        raise CannotListenError(host, port, OSError(98, "Address already in use"))


class ControlServerTests(SynchronousTestCase):
    """
    What the control plane promises as a service.
    """

    def setUp(self) -> None:
        """
        Configure a control plane without a token.
        """
        self.reactor = MemoryReactorClock()
        self.reactor.advance(1_700_000_000)
        database = f"{self.mktemp()}/control.db"
        flags = {"control_plane_server.database": database}
        self.config = load_control_config(None, {}, flags)
        self.events = self.enterContext(capturedLogs())

    def start(self) -> ControlServer:
        """
        Start one, to be stopped after the test.
        """
        network = ReactorNetwork(self.reactor)
        service = build_control(self.config, network, self.reactor, StepWorker())
        assert isinstance(service, ControlServer)
        service.startService()
        self.addCleanup(self.stop, service)
        return service

    def stop(self, service: ControlServer) -> None:
        """
        Stop one.
        """
        if service.running:
            self.successResultOf(service.stopService())

    def secure(self) -> ControlConfig:
        """
        Give the configuration a token.
        """
        return attrs.evolve(self.config, token=Secret("s3cret"))

    def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """
        Make a request on the port that was opened last.
        """
        site = self.reactor.tcpServers[-1][1]
        assert isinstance(site, ControlSite)
        channel = site.buildProtocol(None)
        assert channel is not None
        transport = StringTransport()
        channel.makeConnection(transport)
        head = f"{method} {path} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        channel.dataReceived(head.encode() + body)
        answer: bytes = transport.value()
        return answer

    def register(self, node_id: str) -> bytes:
        """
        Register a node.
        """
        body = encode(node_to_json(node(node_id)))
        return self.ask("POST", "/api/v1/nodes", body)

    def test_interface(self) -> None:
        """
        It is a service.
        """
        verifyObject(IService, self.start())

    def test_serves(self) -> None:
        """
        It answers where it listens.
        """
        service = self.start()
        self.assertEqual(self.reactor.tcpServers[-1][0], 8081)
        self.assertIsNotNone(service.port)
        self.assertIn(b" 200 ", self.register("a"))

    def test_loopback_without_token(self) -> None:
        """
        Without a token it listens on loopback only, and says why once.
        """
        self.start()
        self.assertEqual(self.reactor.tcpServers[-1][3], "127.0.0.1")
        said = [event for event in self.events if "127.0.0.1" in event["log_format"]]
        self.assertEqual(len(said), 1)

    def test_address(self) -> None:
        """
        With a token it listens where it was told to, and a loopback address stands.
        """
        wide = self.secure()
        self.assertEqual(choose_address(wide), "0.0.0.0")
        server = attrs.evolve(self.config.server, bind_address="::1")
        self.assertEqual(
            choose_address(attrs.evolve(self.config, server=server)), "::1"
        )
        self.assertEqual(self.events, [])

    def test_token(self) -> None:
        """
        The configured token is asked for.
        """
        self.config = self.secure()
        self.start()
        self.assertIn(b" 401 ", self.register("a"))

    def test_silent_nodes(self) -> None:
        """
        A node that falls silent is gone soon after the heartbeat timeout.
        """
        self.start()
        self.register("a")
        self.reactor.pump([1.0] * 10)
        self.assertIn(b'"node_id":"a"', self.ask("GET", "/api/v1/nodes"))
        self.reactor.pump([1.0] * 2)
        self.assertIn(b'"nodes":[]', self.ask("GET", "/api/v1/nodes"))

    def test_restart(self) -> None:
        """
        A restart forgets no node and gives each one timeout; the version goes on.
        """
        first = self.start()
        before = self.register("a")
        self.stop(first)
        self.reactor.advance(3600)
        self.start()
        after = self.ask("GET", "/api/v1/nodes")
        self.assertIn(b'"node_id":"a"', after)
        self.assertGreater(_version(after), _version(before))
        self.reactor.pump([1.0] * 9)
        self.assertIn(b'"node_id":"a"', self.ask("GET", "/api/v1/nodes"))
        self.reactor.pump([1.0] * 3)
        self.assertIn(b'"nodes":[]', self.ask("GET", "/api/v1/nodes"))

    def test_restart_with_commands(self) -> None:
        """
        A restart forgets no command: one that waits is handed out, one that has ended
        is shown, and nothing waits for a node that left.
        """
        first = self.start()
        chunks = [{"chunk_id": "0" * 64, "length": 10}]
        for node_id, name in (("a", "one"), ("a", "two"), ("b", "three")):
            self.register(node_id)
            body = encode({"id": name, "kind": "evict", "chunks": chunks})
            self.ask("POST", f"/api/v1/nodes/{node_id}/commands", body)
        done = encode({"state": "done", "bytes": 5})
        self.ask("PUT", "/api/v1/nodes/a/commands/one", done)
        self.ask("DELETE", "/api/v1/nodes/b")
        before = self.ask("GET", "/api/v1/commands").partition(b"\r\n\r\n")[2]
        self.stop(first)
        self.start()
        after = self.ask("GET", "/api/v1/commands").partition(b"\r\n\r\n")[2]
        self.assertEqual(after, before)
        waiting = self.ask("GET", "/api/v1/nodes/a/commands")
        self.assertIn(b'"id":"two"', waiting)
        self.assertNotIn(b'"id":"one"', waiting)

    def test_spared(self) -> None:
        """
        Many reported chunks are not looked at for garbage again and again.
        """
        self.patch(server, "FROZEN_EVERY", 3)
        self.addCleanup(gc.unfreeze)
        self.start()
        self.register("a")
        before = gc.get_freeze_count()
        for count in (2, 4):
            held = [f"{number:064x}" for number in range(count)]
            self.ask("PUT", "/api/v1/nodes/a/chunks", encode({"held": held}))
            self.assertEqual(gc.get_freeze_count() > before, count > 3)

    def test_version(self) -> None:
        """
        The first version is above the saved one, and above those of a lost database.
        """
        self.assertEqual(first_version(41, 0), 42)
        self.assertEqual(first_version(0, 1.5), 1500)
        self.assertEqual(first_version(2000, 1.5), 2001)

    def test_port_taken(self) -> None:
        """
        A taken port is one line that names the setting, and frees the database.
        """
        network = _NoPort(self.reactor)
        service = build_control(self.config, network, self.reactor, StepWorker())
        error = self.assertRaises(StartError, service.startService)
        self.assertIn("[control_plane_server] listen_port", str(error))
        self.assertIn("Address already in use", str(error))
        self.assertNotIn("\n", str(error))
        self.start()

    def test_database_in_use(self) -> None:
        """
        A database that another control plane uses is one line that names the setting.
        """
        self.start()
        error = self.assertRaises(StartError, self.start)
        self.assertIn("[control_plane_server] database", str(error))

    def test_stop(self) -> None:
        """
        Stopping closes the port and the database and leaves no timer of its own.
        """
        service = self.start()
        before = len(self.reactor.getDelayedCalls())
        self.successResultOf(service.stopService())
        self.assertIsNone(service.port)
        self.assertEqual(before, 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


def _version(answer: bytes) -> int:
    return int(answer.rpartition(b'"version":')[2].rstrip(b"}"))
