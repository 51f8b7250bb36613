"""
One node in front of a directory, started as an operator would.
"""

import errno
import json
import os
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

import attrs

from eliop2p.cli.local_cluster import ServiceProcess, free_ports, write_ini

BOUND = 20.0
"""
Seconds within which everything here happens.
"""

Settings = dict[str, dict[str, object]]

RUNNERS = {
    "twist": ["twist", "eliop2p"],
    "twistd": ["twistd", "-n", "--pidfile=", "eliop2p"],
}
"""
The ways to run a node in the foreground.
"""

TOKEN = "t0k3nt0k3nt0k3nt0k3n"
"""
What nodes show to the control plane.
"""

OBJECT = "models/weights.bin"


def script(name: str) -> str:
    """
    Find a console script beside the interpreter.
    """
    return str(Path(sys.executable).with_name(name))


def environment(**variables: str) -> dict[str, str]:
    """
    Give this environment without the variables that concern us, and some added.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ELIOP2P_")}
    return {**kept, **variables}


def run(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """
    Run a command that ends by itself, found beside the interpreter.
    """
    return subprocess.run(
        [script(arguments[0]), *arguments[1:]],
        cwd=cwd,
        env=environment() if env is None else dict(env),
        capture_output=True,
        text=True,
        timeout=3 * BOUND,
        check=False,
    )


def until(holds: Callable[[], bool], what: str) -> None:
    """
    Wait until something holds.
    """
    pause = threading.Event()
    for _ in range(int(BOUND / 0.05)):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError(f"not within {BOUND:.0f} s: {what}")


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    """
    GET a URL.

    Returns:
        The status, 0 when nobody answers, and the body.
    """
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=BOUND) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


@attrs.frozen
class Ports:
    """
    Where a node listens.
    """

    proxy: int
    p2p: int
    admin: int


@attrs.define
class OneNode:
    """
    A node, its directory and its ports.

    Attributes:
        directory: Its configuration, data, objects and output.
        ports: Where it listens.
        process: What was started last.
    """

    directory: Path
    ports: Ports
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """
        Where clients ask.
        """
        return f"http://127.0.0.1:{self.ports.proxy}"

    @property
    def admin(self) -> str:
        """
        Where operators ask.
        """
        return f"http://127.0.0.1:{self.ports.admin}"

    @property
    def output(self) -> str:
        """
        What the node has written so far.
        """
        return (self.directory / "output").read_text(encoding="utf-8")

    def configure(self, **changes: Mapping[str, object]) -> None:
        """
        Write the configuration.

        Args:
            changes: Keys by section, over those that every test wants.
        """
        settings: Settings = {
            "general": {"data_dir": "data", "bind_address": "127.0.0.1"},
            "proxy": {"listen_port": self.ports.proxy},
            "p2p": {"listen_port": self.ports.p2p},
            "cache": {"memory_cache_size_mb": 256, "disk_cache_size_mb": 1024},
            "storage": {"type": "local", "endpoint": "store"},
            "admin": {"listen_port": self.ports.admin},
        }
        for section, keys in changes.items():
            settings[section] = {**settings.get(section, {}), **keys}
        write_ini(self.directory / "node.ini", settings)

    def command(self, runner: str = "twist", *flags: str) -> list[str]:
        """
        Give the command line that runs the node.
        """
        name, *rest = RUNNERS[runner]
        return [script(name), *rest, "--config", "node.ini", *flags]

    def start(
        self,
        runner: str = "twist",
        *flags: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """
        Run the node and wait until it is ready.
        """
        with (self.directory / "output").open("wb") as output:
            self.process = subprocess.Popen(
                self.command(runner, *flags),
                cwd=self.directory,
                env=environment() if env is None else dict(env),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        until(lambda: fetch(f"{self.admin}/readyz")[0] == 200, "the node is ready")

    def running(self) -> bool:
        """
        Tell whether the node is alive.
        """
        return self.process is not None and self.process.poll() is None

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """
        End the node.

        Returns:
            Its exit status.
        """
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(how)
        try:
            return process.wait(BOUND)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def close(self) -> None:
        """
        Leave nothing running.
        """
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def metric(self, name: str) -> float:
        """
        Read the sum of a metric's samples.
        """
        lines = fetch(f"{self.admin}/metrics")[1].decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"{name} ", f"{name}{{"))
        )

    def members(self) -> list[dict[str, object]]:
        """
        Ask the node whom it knows.
        """
        status = json.loads(fetch(f"{self.admin}/api/v1/status")[1])
        found: list[dict[str, object]] = status["members"]
        return found


def make_node(directory: Path, data: bytes = b"") -> OneNode:
    """
    Prepare a node in front of a directory that holds one object.

    Args:
        directory: Where everything goes.
        data: The object.
    """
    path = directory / "store" / OBJECT
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    node = OneNode(directory, Ports(*free_ports(3)))
    node.configure()
    return node


@contextmanager
def control_plane(directory: Path) -> Iterator[str]:
    """
    Run a control plane; its log is ``control.log``.

    Args:
        directory: Where everything goes.

    Yields:
        Its URL.
    """
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    process = ServiceProcess(
        "control",
        "eliop2p-control",
        directory,
        {
            "general": {"data_dir": directory / "control", "log_level": "DEBUG"},
            "control_plane": {"token": TOKEN},
            "control_plane_server": {
                "listen_port": port,
                "bind_address": "127.0.0.1",
            },
        },
        f"{url}/health",
    )
    process.start()
    try:
        process.wait_ready()
        yield url
    finally:
        process.stop()


def registered(control: str) -> list[str]:
    """
    Ask the control plane which nodes it lists.
    """
    _, body = fetch(f"{control}/api/v1/nodes", Authorization=f"Bearer {TOKEN}")
    return [each["node_id"] for each in json.loads(body)["nodes"]]


def say(port: int, data: bytes) -> bytes:
    """
    Send bytes to a port on loopback and end there.

    Returns:
        What came back before the other side ended.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND) as connection:
        answer = bytearray()
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except OSError as error:
            # It may have ended before all was said, or heard.
            if error.errno not in {errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN}:
                raise
        return bytes(answer)
