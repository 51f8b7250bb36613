"""
The processes of a store: started in order, ended by their ids.
"""

import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

START_SECONDS = 120.0
"""
How long a store may take to come up on a loaded machine.
"""

_POLL_SECONDS = 0.1
_COMMAND_SECONDS = 60.0
_STOP_SECONDS = 10.0


class StoreFailed(Exception):
    """
    A store did not start, or one of its processes ended by itself.
    """


def missing(*programs: str) -> str | None:
    """
    Name the first program that is not installed; None when all are.
    """
    return next((name for name in programs if shutil.which(name) is None), None)


def answers(url: str) -> bool:
    """
    Tell whether an HTTP server answers anything at all.
    """
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except (urllib.error.URLError, OSError):
        return False
    return True


class Daemons:
    """
    Processes with one working directory, each with a log file there.

    Attributes:
        directory: Where they live.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        # Programs of the distribution must not find the modules of our environment.
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
        }

    def run(self, *command: str | Path) -> str:
        """
        Run a command that ends by itself, and give what it printed.

        Raises:
            StoreFailed: It failed.
        """
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            raise StoreFailed(f"{command[0]} failed: {done.stderr[-2000:]}")
        return done.stdout

    def start(self, name: str, *command: str | Path) -> None:
        """
        Start a process that stays.
        """
        with (self.directory / f"{name}.out").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def check(self) -> None:
        """
        Find out whether all still run.

        Raises:
            StoreFailed: One does not.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                log = (self.directory / f"{name}.out").read_text(errors="replace")
                raise StoreFailed(f"{name} ended by itself: {log[-2000:]}")

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        """
        Wait until something holds, while all processes run.

        Raises:
            StoreFailed: It took too long, or a process ended.
        """
        pause = threading.Event()
        for _ in range(int(START_SECONDS / _POLL_SECONDS)):
            self.check()
            if holds():
                return
            pause.wait(_POLL_SECONDS)
        raise StoreFailed(f"{what}: not after {START_SECONDS:g} s")

    def stop(self) -> None:
        """
        End them, the last first.
        """
        for process in reversed(self._running.values()):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
