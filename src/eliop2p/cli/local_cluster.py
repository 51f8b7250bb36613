"""
A whole cluster on one machine: a control plane and nodes as processes on loopback.
"""

import configparser
import json
import secrets
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from eliop2p.base.errors import StartError

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
_POLL_SECONDS = 0.05

Settings = Mapping[str, Mapping[str, object]]
"""
Keys by section, as in a node's INI file.
"""


def free_ports(count: int) -> list[int]:
    """
    Find TCP ports on loopback that nobody listens on at the moment.
    """
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def write_ini(path: Path, settings: Settings) -> None:
    """
    Write an INI file that only its owner can read: it may hold secrets.
    """
    parser = configparser.ConfigParser(interpolation=None)
    for section, keys in settings.items():
        parser[section] = {key: str(value) for key, value in keys.items()}
    path.touch(mode=0o600)
    with path.open("w") as file:
        parser.write(file)


@contextmanager
def _ends_held_back() -> Iterator[None]:
    """
    Let signals that end this process wait until its new child is on record.
    """
    came: list[int] = []
    before = [
        (each, signal.signal(each, lambda number, _: came.append(number)))
        for each in (signal.SIGINT, signal.SIGTERM)
    ]
    try:
        yield
    finally:
        for each, action in before:
            signal.signal(each, action)
        for number in came:
            signal.raise_signal(number)


class ServiceProcess:
    """
    One ``twist`` process, its configuration and its log.

    Attributes:
        name: What it is called in messages and file names.
        log: The file that takes its output.
    """

    def __init__(
        self, name: str, command: str, directory: Path, settings: Settings, ready: str
    ) -> None:
        """
        Args:
            name: A file name.
            command: ``eliop2p`` or ``eliop2p-control``.
            directory: Where its configuration and log go.
            settings: Its configuration.
            ready: The URL that answers 200 once it serves.
        """
        self.name = name
        self.log = directory / f"{name}.log"
        self._ini = directory / f"{name}.ini"
        self._command = command
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        write_ini(self._ini, settings)

    @property
    def pid(self) -> int:
        """
        The process id of the running process.
        """
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """
        Start the process; :meth:`wait_ready` tells when it serves.
        """
        with self.log.open("ab") as log, _ends_held_back():
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter
                [
                    *(sys.executable, "-m", "twisted", self._command),
                    *("--config", str(self._ini)),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def wait_ready(self) -> None:
        """
        Wait until the process serves.

        Raises:
            StartError: It ended, or took more than 30 s.
        """
        pause = threading.Event()
        for _ in range(int(READY_SECONDS / _POLL_SECONDS)):
            if self._process is None or self._process.poll() is not None:
                raise StartError(f"{self.name} ended at its start: {self._last_line()}")
            if _answers(self._ready):
                return
            pause.wait(_POLL_SECONDS)
        raise StartError(f"{self.name} is not ready after 30 s: {self._last_line()}")

    def _last_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else "it wrote nothing"

    def stop(self) -> int | None:
        """
        End the process in good order.

        Returns:
            Its exit status, None when it was not running.
        """
        return self._end(signal.SIGTERM)

    def kill(self) -> int | None:
        """
        End the process at once.
        """
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(how)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class LocalNode(ServiceProcess):
    """
    A node of a local cluster.

    Attributes:
        url: Where clients point their SDK.
        admin_url: Where operators look.
    """

    def __init__(self, name: str, directory: Path, settings: Settings) -> None:
        proxy = settings["proxy"]["listen_port"]
        admin = settings["admin"]["listen_port"]
        self.url = f"http://127.0.0.1:{proxy}"
        self.admin_url = f"http://127.0.0.1:{admin}"
        super().__init__(
            name, "eliop2p", directory, settings, f"{self.admin_url}/readyz"
        )

    def status(self) -> dict[str, object]:
        """
        Ask the node how it is.
        """
        url = f"{self.admin_url}/api/v1/status"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            found: dict[str, object] = json.load(answer)
            return found


class LocalCluster:
    """
    A control plane and nodes that share one store.

    Attributes:
        control: The control plane.
        nodes: The nodes.
    """

    def __init__(
        self, directory: Path, endpoint: str, count: int, settings: Settings
    ) -> None:
        """
        Args:
            directory: Where everything goes.
            endpoint: The store.
            count: How many nodes.
            settings: What differs from the defaults, for every node.
        """
        ports = free_ports(1 + 3 * count)
        secret, token = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        control_url = f"http://127.0.0.1:{ports[0]}"
        self.control = ServiceProcess(
            "control",
            "eliop2p-control",
            directory,
            {
                "general": {"data_dir": directory / "control"},
                "control_plane": {"token": token},
                "control_plane_server": {
                    "listen_port": ports[0],
                    "bind_address": "127.0.0.1",
                },
            },
            f"{control_url}/health",
        )
        shared: dict[str, dict[str, object]] = {
            "general": {"bind_address": "127.0.0.1"},
            "proxy": {},
            "p2p": {"cluster_secret": secret},
            "control_plane": {
                "endpoint": control_url,
                "token": token,
                "heartbeat_interval_sec": 1,
            },
            "storage": {"endpoint": endpoint},
            "admin": {},
        }
        self.nodes = [
            LocalNode(
                f"node{index + 1}",
                directory,
                _node_settings(
                    _merged(shared, settings),
                    f"node{index + 1}",
                    directory,
                    ports[1 + 3 * index : 4 + 3 * index],
                ),
            )
            for index in range(count)
        ]

    def start(self) -> None:
        """
        Start everything and wait until the nodes know each other.

        Raises:
            StartError: Something does not start.
        """
        self.control.start()
        self.control.wait_ready()
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()
        self.wait_members(len(self.nodes))

    def wait_members(self, count: int) -> None:
        """
        Wait until every node sees so many members.

        Raises:
            StartError: That took more than 30 s.
        """
        self._wait(lambda node: _member_count(node) == count, f"{count} members")

    def wait_registered(self) -> None:
        """
        Wait until every node is registered with the control plane.

        Raises:
            StartError: That took more than 30 s.
        """
        self._wait(_registered, "the control plane")

    def _wait(self, holds: Callable[[LocalNode], bool], what: str) -> None:
        pause = threading.Event()
        for _ in range(int(READY_SECONDS / _POLL_SECONDS)):
            if all(map(holds, self.nodes)):
                return
            pause.wait(_POLL_SECONDS)
        raise StartError(f"the nodes do not see {what} after 30 s")

    def stop(self) -> None:
        """
        End everything in good order.
        """
        for process in (*self.nodes, self.control):
            process.stop()


def _member_count(node: LocalNode) -> int:
    try:
        members = node.status()["members"]
    except (urllib.error.URLError, OSError):
        return 0
    return len(members) if isinstance(members, list) else 0


def _registered(node: LocalNode) -> bool:
    try:
        control = node.status()["control_plane"]
    except (urllib.error.URLError, OSError):
        return False
    return isinstance(control, dict) and control["state"] == "registered"


def _merged(first: Settings, second: Settings) -> dict[str, dict[str, object]]:
    names = list(dict.fromkeys([*first, *second]))
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in names}


def _node_settings(
    settings: Settings, name: str, directory: Path, ports: list[int]
) -> Settings:
    proxy, p2p, admin = ports
    return _merged(
        settings,
        {
            "general": {"node_id": name, "data_dir": directory / name},
            "proxy": {"listen_port": proxy},
            "p2p": {"listen_port": p2p},
            "admin": {"listen_port": admin},
        },
    )
