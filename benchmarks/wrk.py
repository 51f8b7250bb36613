"""
wrk, a client in C that costs less than any server: what small objects need.
"""

import re
import shutil
import subprocess

import attrs

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@attrs.frozen
class Run:
    """
    What came of one run.

    Attributes:
        requests: How many were answered.
        seconds: How long it took.
        p99: The 99th percentile of latencies, in seconds.
    """

    requests: int
    seconds: float
    p99: float


def available() -> bool:
    """
    Tell whether it is installed.
    """
    return shutil.which("wrk") is not None


def run(port: int, path: str, connections: int, seconds: int) -> Run:
    """
    Ask for an object again and again.

    Raises:
        RuntimeError: An answer was not what it should be.
    """
    text = subprocess.run(
        [
            *("wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s"),
            f"http://127.0.0.1:{port}{path}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    counted = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", text)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s|m)", text)
    if counted is None or slowest is None or "Non-2xx" in text:
        raise RuntimeError(text)
    return Run(
        int(counted[1]),
        float(counted[2]) * _UNITS[counted[3]],
        float(slowest[1]) * _UNITS[slowest[2]],
    )
