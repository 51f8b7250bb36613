"""
Measuring in a network namespace, where nobody else's settings count.
"""

import os
import shutil
import sys

_APART = "BENCHMARKS_APART"


def go_apart(module: str) -> None:
    """
    Run a module again in a network namespace with reno, if that can be had; bbr would
    pace loopback.
    """
    if os.environ.get(_APART) or os.geteuid() or not shutil.which("unshare"):
        return
    script = (
        "ip link set lo up && "
        "sysctl -qw net.ipv4.tcp_congestion_control=reno || exit 1; "
        f'export {_APART}=1; exec {sys.executable} -m {module} "$@"'
    )
    os.execvp("unshare", ["unshare", "--net", "sh", "-c", script, "sh", *sys.argv[1:]])


def is_apart() -> bool:
    """
    Tell whether this is so.
    """
    return bool(os.environ.get(_APART))
