"""
The commands as operators run them: real processes, real signals, real files.
"""

import http.client
import json
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from eliop2p.cli.local_cluster import free_ports
from tests.functional.one_node import (
    BOUND,
    OBJECT,
    RUNNERS,
    TOKEN,
    OneNode,
    control_plane,
    environment,
    fetch,
    make_node,
    registered,
    run,
    until,
)

DATA = random.Random(7).randbytes(48 * 1024 * 1024)
SECRET, ADMIN_TOKEN = "s3cr3ts3cr3ts3cr3ts3cr3t", "4dm1n4dm1n4dm1n4dm1n"

BROKEN = """\
[general]
log_level = LOUD
[proxy]
listen_port = 80800
[storge]
endpoint = x
[p2p]
selection_k = 11
[storage]
endpoint = ftp://x
"""

PROBLEMS = (
    ("[general] log_level", "'LOUD'", "expected DEBUG or INFO or WARNING or ERROR"),
    ("[proxy] listen_port", "'80800'", "expected a whole number from 0 to 65535"),
    ("[storge]", "", "did you mean storage?"),
    ("[p2p] selection_k", "'11'", "expected a whole number from 1 to 10"),
    ("[storage] endpoint", "'ftp://x'", "expected http:// or https://"),
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    """
    Prepare a node that is not running yet.
    """
    prepared = make_node(tmp_path, DATA)
    yield prepared
    prepared.close()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[str]:
    """
    Run a control plane; gives its URL.
    """
    with control_plane(tmp_path) as url:
        yield url


class TestLife:
    """
    Starting and stopping.
    """

    @pytest.mark.parametrize("runner", RUNNERS)
    def test_stop(self, node: OneNode, control: str, runner: str) -> None:
        """
        Told to stop, a node finishes the answer under way, takes no new connections,
        says goodbye to the control plane, and ends within the bound.
        """
        node.configure(
            general={"node_id": "leaver"},
            control_plane={"endpoint": control, "token": TOKEN},
        )
        node.start(runner)
        until(lambda: registered(control) == ["leaver"], "the node is registered")
        client = http.client.HTTPConnection("127.0.0.1", node.ports.proxy, timeout=5)
        client.request("GET", f"/{OBJECT}")
        answer = client.getresponse()
        begun = answer.read(1000)
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        until(lambda: fetch(f"{node.url}/{OBJECT}")[0] == 0, "nobody new is served")
        assert node.running()
        assert begun + answer.read() == DATA
        client.close()
        # twist and twistd end themselves once more with the signal they were sent.
        assert node.process.wait(BOUND) in {0, -signal.SIGTERM}
        assert registered(control) == []
        assert "Traceback" not in node.output

    def test_interrupt(self, node: OneNode) -> None:
        """
        An interrupt from the keyboard ends a node in good order, and what it held is
        served after the next start.
        """
        node.start()
        assert fetch(f"{node.url}/{OBJECT}") == (200, DATA)
        assert node.end(signal.SIGINT) in {0, -signal.SIGINT}
        assert "Traceback" not in node.output
        node.start()
        assert fetch(f"{node.url}/{OBJECT}") == (200, DATA)
        # The store answers a read of what is held without a body.
        assert node.metric("eliop2p_origin_bytes_total") == 0


class TestRefusedStart:
    """
    What keeps a node from starting.
    """

    def refused(self, node: OneNode, runner: str, setting: str) -> None:
        """
        Start a node in vain: it ends with one line that names a setting.
        """
        name, *rest = RUNNERS[runner]
        ran = run(name, *rest, "--config", "node.ini", cwd=node.directory)
        assert ran.returncode not in {0, None}
        (line,) = ran.stderr.splitlines()
        assert line.startswith("eliop2p: cannot ")
        assert setting in line
        assert "Traceback" not in ran.stdout

    @pytest.mark.parametrize("runner", RUNNERS)
    @pytest.mark.parametrize("section", ["proxy", "p2p", "admin"])
    def test_port_taken(self, node: OneNode, runner: str, section: str) -> None:
        """
        A port that somebody else has is told in one line, with the key that chooses
        another.
        """
        port = getattr(node.ports, section)
        with socket.create_server(("127.0.0.1", port)):
            self.refused(node, runner, f"[{section}] listen_port")

    @pytest.mark.parametrize("runner", RUNNERS)
    @pytest.mark.parametrize(
        ("section", "key"), [("general", "data_dir"), ("cache", "disk_cache_path")]
    )
    def test_directory(
        self, node: OneNode, runner: str, section: str, key: str
    ) -> None:
        """
        A directory that cannot be made is told in one line, with the key that chooses
        another.
        """
        (node.directory / "file").touch()
        node.configure(**{section: {key: "file/below"}})
        self.refused(node, runner, f"[{section}] {key}")

    @pytest.mark.parametrize("runner", RUNNERS)
    def test_configuration(self, node: OneNode, runner: str) -> None:
        """
        Everything that is wrong with a configuration is told at once, each with its
        section, key, value and remedy, and nothing has listened by then.
        """
        (node.directory / "node.ini").write_text(BROKEN)
        name, *rest = RUNNERS[runner]
        ran = run(name, *rest, "--config", "node.ini", cwd=node.directory)
        assert ran.returncode == (64 if runner == "twist" else 1)
        told = (ran.stderr + ran.stdout).splitlines()
        for where, value, remedy in PROBLEMS:
            (line,) = (line for line in told if line.startswith(where))
            assert value in line
            assert remedy in line
            assert "(node.ini:" in line
        # A screen holds all of it.
        assert len(told) < 16
        assert not (node.directory / "data").exists()

    def test_control_plane(self, node: OneNode) -> None:
        """
        A control plane tells in one line, too, that its port is taken or its directory
        cannot be used.
        """
        (node.directory / "file").touch()
        with socket.create_server(("127.0.0.1", node.ports.proxy)):
            for data_dir, setting in (
                ("data", "[control_plane_server] listen_port"),
                ("file/below", "[control_plane_server] database"),
            ):
                ran = run(
                    *("twist", "eliop2p-control", "--data-dir", data_dir),
                    *("--listen-port", str(node.ports.proxy)),
                    cwd=node.directory,
                )
                assert ran.returncode == 1
                (line,) = ran.stderr.splitlines()
                assert line.startswith("eliop2p-control: ")
                assert setting in line


class TestConfiguration:
    """
    Where a running node takes its settings from, and what it never tells.
    """

    def test_precedence(self, node: OneNode) -> None:
        """
        A flag goes before the environment, that before the file.
        """
        by_environment, by_flag = free_ports(2)
        node.configure(general={"zone": "of-the-file", "node_id": "of-the-file"})
        variables = environment(
            ELIOP2P_NODE_ID="of-the-environment",
            ELIOP2P_PROXY_PORT=str(by_environment),
        )
        node.start("twist", "--proxy-port", str(by_flag), env=variables)
        (member,) = node.members()
        assert member["node_id"] == "of-the-environment"
        assert member["zone"] == "of-the-file"
        url = f"http://127.0.0.1:{by_flag}/{OBJECT}"
        assert fetch(url) == (200, DATA)
        for port in (node.ports.proxy, by_environment):
            assert fetch(f"http://127.0.0.1:{port}/{OBJECT}")[0] == 0

    def test_secrets(self, node: OneNode, control: str) -> None:
        """
        Neither the node's secrets nor its clients' signatures are in a log, in the
        status, in the metrics or in what ``config show`` writes.
        """
        token_file = node.directory / "admin-token"
        token_file.write_text(ADMIN_TOKEN)
        token_file.chmod(0o600)
        node.configure(
            general={"log_level": "DEBUG"},
            p2p={"cluster_secret": SECRET},
            control_plane={"endpoint": control, "token": TOKEN},
            admin={"listen_port": node.ports.admin, "token_file": "admin-token"},
        )
        node.start()
        until(lambda: len(registered(control)) == 1, "the node is registered")
        signature = "AWS4-HMAC-SHA256 Credential=k/s3, Signature=5ec2e75ec2e7"
        query = "X-Amz-Signature=91e519ed91e5&X-Amz-Credential=c2edc2ed"
        shown = [
            fetch(f"{node.url}/{OBJECT}", Authorization=signature)[1][:0],
            fetch(f"{node.url}/{OBJECT}?{query}")[1][:0],
            fetch(f"{node.url}/no/such?{query}", Authorization=signature)[1],
            fetch(f"{node.admin}/metrics")[1],
            fetch(f"{node.admin}/api/v1/status", Authorization="Bearer x")[1],
            fetch(f"{node.admin}/api/v1/status", Authorization=f"Bearer {ADMIN_TOKEN}")[
                1
            ],
        ]
        show = run(
            "eliop2p", "config", "show", "--config", "node.ini", cwd=node.directory
        )
        assert show.returncode == 0
        node.end()
        logs = [node.output, (node.directory / "control.log").read_text()]
        everything = "\n".join(
            [*logs, show.stdout, show.stderr, *(each.decode() for each in shown)]
        )
        assert "is ready" in everything
        for secret in (
            *(SECRET, TOKEN, ADMIN_TOKEN),
            *("5ec2e75ec2e7", "91e519ed91e5", "c2edc2ed"),
        ):
            assert secret not in everything


class TestOperators:
    """
    What operators ask a running node.
    """

    def test_pages(self, node: OneNode) -> None:
        """
        The node tells that it lives, that it is ready, and its metrics in Prometheus'
        format.
        """
        node.start()
        assert fetch(f"{node.url}/{OBJECT}")[0] == 200
        assert fetch(f"{node.admin}/healthz") == (200, b"ok\n")
        assert fetch(f"{node.admin}/readyz") == (200, b"ready\n")
        status, page = fetch(f"{node.admin}/metrics")
        assert status == 200
        families = {each.name for each in text_string_to_metric_families(page.decode())}
        assert "eliop2p_served_bytes" in families
        assert node.metric("eliop2p_served_bytes_total") == len(DATA)
        assert fetch(f"{node.admin}/nothing")[0] == 404

    def test_status(self, node: OneNode) -> None:
        """
        ``eliop2p status`` shows a live node on 80 columns, and tells in one line that
        there is none.
        """
        node.configure(general={"node_id": "gpu-7"})
        node.start()
        fetch(f"{node.url}/{OBJECT}")
        ran = run("eliop2p", "status", "--admin", node.admin)
        assert (ran.returncode, ran.stderr) == (0, "")
        for part in ("gpu-7", "48.0 MiB of 256.0 MiB", f"127.0.0.1:{node.ports.p2p}"):
            assert part in ran.stdout
        assert max(map(len, ran.stdout.splitlines())) <= 80
        assert "\x1b" not in ran.stdout
        ran = run("eliop2p", "status", "--admin", node.admin, "--json")
        assert json.loads(ran.stdout)["node_id"] == "gpu-7"
        node.end()
        ran = run("eliop2p", "status", "--admin", node.admin)
        assert ran.returncode == 1
        (line,) = ran.stderr.splitlines()
        assert line.startswith(f"Error: no answer from {node.admin}")
