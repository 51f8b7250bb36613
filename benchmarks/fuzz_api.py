"""
Fuzz the control plane's API with schemathesis, against the document that it serves.

``tox -e fuzz``, or ``python -m benchmarks.fuzz_api`` where schemathesis is installed,
makes some 2000 requests to a control plane of its own, with one node registered, and
fails when any is answered with a 5xx or with what the document does not say. The long
poll is left out: it waits, as it should.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from eliop2p.cli.local_cluster import ServiceProcess, free_ports

TOKEN = "fuzz"
CHECKS = (
    *("not_a_server_error", "status_code_conformance"),
    *("content_type_conformance", "response_schema_conformance"),
)


def register(url: str) -> None:
    """
    Register the node that the document's examples are about.
    """
    node = {"node_id": "node-1", "host": "10.0.0.1", "port": 9000}
    request = urllib.request.Request(
        f"{url}/api/v1/nodes",
        json.dumps(node).encode(),
        {"Authorization": f"Bearer {TOKEN}"},
    )
    urllib.request.urlopen(request).close()


def main() -> int:
    """
    Read the command line, and give schemathesis' exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=220, help="of each operation")
    given = parser.parse_args()
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        control = ServiceProcess(
            "control",
            "eliop2p-control",
            directory,
            {
                "general": {"data_dir": directory / "data"},
                "control_plane": {"token": TOKEN},
                "control_plane_server": {
                    "listen_port": port,
                    "bind_address": "127.0.0.1",
                },
            },
            f"{url}/health",
        )
        control.start()
        try:
            control.wait_ready()
            register(url)
            command = [
                *("st", "run", f"{url}/api/v1/openapi.json"),
                *("-H", f"Authorization: Bearer {TOKEN}"),
                *("--checks", ",".join(CHECKS), "-n", str(given.examples)),
                *("--phases", "examples,coverage,fuzzing"),
                *("--exclude-path", "/api/v1/membership"),
            ]
            return subprocess.run(command, check=False, cwd=name).returncode
        finally:
            control.stop()


if __name__ == "__main__":
    sys.exit(main())
