"""
nginx as a store, and the caches to be measured against: nginx and Varnish.
"""

import shutil
import subprocess
import threading
from pathlib import Path

from benchmarks.store_log import LOG_FORMAT
from eliop2p.cli.local_cluster import free_ports

_STORE = """
worker_processes 1;
daemon off;
master_process off;
error_log {directory}/store-error.log;
pid {directory}/store.pid;
events {{ worker_connections 8192; }}
http {{
    log_format sent '{format}';
    access_log {log}; sendfile on; tcp_nopush on; keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""

_CACHE = """
worker_processes {workers};
daemon off;
master_process {master};
error_log {directory}/cache-error.log;
pid {directory}/cache.pid;
events {{ worker_connections 8192; }}
http {{
    access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000;
    sendfile_max_chunk 2m; output_buffers 2 1m;
    proxy_cache_path {directory}/nginx-cache keys_zone=z:64m max_size=16g
        inactive=1d use_temp_path=off;
    upstream store {{ server 127.0.0.1:{store}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            slice 8m; proxy_cache z; proxy_cache_valid 200 206 1d;
            proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range;
            proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_pass http://store;
        }}
    }}
}}
"""


class Nginx:
    """
    nginx, as a store of static files or as a slicing cache in front of one.

    Attributes:
        port: Where it listens.
    """

    def __init__(
        self,
        directory: Path,
        root: Path | None,
        store: int,
        *,
        workers: int = 1,
        log: Path | None = None,
    ) -> None:
        """
        Args:
            directory: Where it keeps what it needs.
            root: The files to serve; None for a cache.
            store: The port of the store that a cache stands in front of.
            workers: How many processes serve, for a cache.
            log: Where it notes what it has sent, for a store; None for nowhere.
        """
        (self.port,) = free_ports(1)
        text = _CACHE if root is None else _STORE
        config = directory / f"nginx-{self.port}.conf"
        config.write_text(
            text.format(
                directory=directory,
                root=root,
                format=LOG_FORMAT,
                log="off" if log is None else f"{log} sent",
                port=self.port,
                store=store,
                workers=workers,
                master="off" if workers == 1 else "on",
            )
        )
        binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if binary is None:
            raise SystemExit("nginx is not installed: apt-get install nginx-light")
        self._process = subprocess.Popen([binary, "-c", str(config)])
        threading.Event().wait(0.5)

    @property
    def pid(self) -> int:
        """
        Its process id.
        """
        return self._process.pid

    def stop(self) -> None:
        """
        End it.
        """
        self._process.terminate()
        self._process.wait()


class Varnish:
    """
    One Varnish that keeps objects in memory.

    Attributes:
        port: Where it listens.
        pid: The process that serves.
    """

    def __init__(self, directory: Path, store: int, memory_mib: int) -> None:
        """
        Args:
            directory: Where it keeps what it needs.
            store: The port of the store that it stands in front of.
            memory_mib: How much it may keep.
        """
        (self.port,) = free_ports(1)
        binary = shutil.which("varnishd", path="/usr/sbin:/usr/local/sbin")
        if binary is None:
            raise FileNotFoundError(
                "varnishd is not installed: apt-get install varnish"
            )
        self._process = subprocess.Popen(
            [
                *(binary, "-F", "-j", "none", "-n", str(directory / "varnish")),
                *("-a", f"127.0.0.1:{self.port}", "-b", f"127.0.0.1:{store}"),
                *("-s", f"malloc,{memory_mib}M", "-t", "86400"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._serving()
        threading.Event().wait(1.0)

    def _serving(self) -> int:
        """
        Find the process that serves; others compile the configuration before.
        """
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        for _ in range(200):
            threading.Event().wait(0.1)
            for child in map(int, children.read_text().split()):
                name = Path(f"/proc/{child}/comm").read_text().strip()
                if name == "cache-main":
                    return child
        raise FileNotFoundError("varnishd does not start")

    def stop(self) -> None:
        """
        End it.
        """
        self._process.terminate()
        self._process.wait()
