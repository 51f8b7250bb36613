"""
Where clients are installed and run.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import attrs

from tests.functional.clients.place import Place
from tests.functional.clients.table import Client

DRIVERS = Path(__file__).with_name("drivers")

BOUND = 300.0
"""
Seconds within which a client has done what it is asked for.
"""

Step = tuple[object, ...]


class ClientFailed(Exception):
    """
    A client gave up; says what it wrote.
    """


def _install(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClientFailed(f"{command}: {done.stderr[-2000:]}")


def _clean(home: str) -> dict[str, str]:
    """
    Give this environment without what clients would take their configuration from.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("AWS_", "ELIOP2P_", "OSS_"))
        and not name.upper().endswith("_PROXY")
    }
    return {**kept, "HOME": home}


@attrs.frozen
class Environments:
    """
    Keeps each client that does not come with the tests in an environment of its own.

    Attributes:
        directory: Where; what is there already is used.
    """

    directory: Path

    def run(self, client: Client, job: dict[str, Any], steps: list[Step]) -> str:
        """
        Let a client do something.

        Args:
            client: Who.
            job: The fields of ``drivers/job.py``'s ``Job``.
            steps: The names of methods, each with its arguments.

        Returns:
            Its version.

        Raises:
            ClientFailed: It could not.
        """
        path = self._prepare(client)
        interpreter = str(self._python(client, path))
        if client.driver.endswith(".mjs"):
            interpreter = "node"
        arguments = [each.format(bin=path / "bin") for each in client.arguments]
        done = subprocess.run(
            [interpreter, str(DRIVERS / client.driver), *arguments],
            cwd=path,
            env=_clean(str(job["scratch"])),
            input=json.dumps({"job": job, "steps": steps}),
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
        )
        if done.returncode:
            raise ClientFailed(f"{client.name}: {done.stdout}\n{done.stderr[-4000:]}")
        return done.stdout.strip()

    def snippet(
        self, client: Client, place: Place, language: str, text: str
    ) -> tuple[bytes, str]:
        """
        Do what a guide says, in a directory of its own.

        Args:
            client: Whose guide.
            place: Whose credentials are in the environment.
            language: What it is written in: sh, python or js.
            text: What it says.

        Returns:
            The file ``weights.bin`` that it leaves, and what was printed.

        Raises:
            ClientFailed: It did not work.
        """
        path = self._prepare(client)
        scratch = path / "snippet"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        commands = {
            "sh": ["sh", "-eu"],
            "python": [str(self._python(client, path))],
            "js": ["node", "--input-type=module"],
        }
        credentials, region = place.client, place.backing.region
        environment = {
            **_clean(str(scratch)),
            "PATH": f"{path / 'bin'}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "OSS_ACCESS_KEY_ID": credentials.access_key,
            "OSS_ACCESS_KEY_SECRET": credentials.secret_key,
        }
        done = subprocess.run(
            commands[language],
            cwd=scratch,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
        )
        if done.returncode:
            raise ClientFailed(f"{client.name}: {done.stdout}\n{done.stderr[-4000:]}")
        printed = done.stdout + done.stderr
        return (scratch / "weights.bin").read_bytes(), printed

    @staticmethod
    def _python(client: Client, path: Path) -> Path:
        return path / "bin" / "python" if client.requirements else Path(sys.executable)

    def _prepare(self, client: Client) -> Path:
        path = self.directory / client.name.replace(" ", "-")
        installed = path / "installed"
        if installed.exists():
            return path
        path.mkdir(parents=True, exist_ok=True)
        if client.driver.endswith(".mjs"):
            _install("npm", "install", "--silent", *client.requirements, cwd=path)
        elif client.requirements:
            venv.create(path, with_pip=True, clear=True)
            python = str(path / "bin" / "python")
            _install(
                python, "-m", "pip", "-q", "install", *client.requirements, cwd=path
            )
        installed.touch()
        return path
