"""
libtorrent, tuned for a local network: a seed and those who download from it and from
each other, each a process of its own.

A process is told what to do over its standard input, one JSON list a line, and answers
each with one line; see :func:`main`.
"""

import importlib.util
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

MIB = 1024 * 1024

SETTINGS: dict[str, object] = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "allow_multiple_connections_per_ip": True,
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "upload_rate_limit": 0,
    "download_rate_limit": 0,
    "unchoke_slots_limit": -1,
    "num_optimistic_unchoke_slots": 64,
    "unchoke_interval": 1,
    "optimistic_unchoke_interval": 1,
    "connection_speed": 500,
    "smooth_connects": False,
    "min_reconnect_time": 1,
    "max_out_request_queue": 2000,
    "max_allowed_in_request_queue": 4000,
    "request_queue_time": 10,
    "send_buffer_watermark": 4 * MIB,
    "send_buffer_low_watermark": MIB,
    "send_buffer_watermark_factor": 200,
    "max_queued_disk_bytes": 64 * MIB,
    "aio_threads": 2,
    "hashing_threads": 1,
    "alert_mask": 0,
}
"""
No discovery, no uTP, no encryption, no limits, everybody unchoked, deep queues.
"""

PIECE = 4 * MIB
"""
The length of a piece, in bytes: that of a node's chunk.
"""


def available() -> bool:
    """
    Tell whether libtorrent is installed.
    """
    return importlib.util.find_spec("libtorrent") is not None


class Peer:
    """
    One process with one libtorrent session.

    Attributes:
        port: Where it listens.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torrent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._answer())

    @property
    def pid(self) -> int:
        """
        Its process id.
        """
        return self._process.pid

    def tell(self, *words: object) -> None:
        """
        Give it something to do; :meth:`wait` waits until it is done.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words, default=str) + "\n")
        self._process.stdin.flush()

    def wait(self) -> None:
        """
        Wait until it has done what it was told.

        Raises:
            RuntimeError: It ended instead.
        """
        self._answer()

    def stop(self) -> None:
        """
        End it.
        """
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a libtorrent process ended")
        return line.strip()


def make(content: Path, torrent: Path) -> None:
    """
    Describe a file for those who download it.
    """
    import libtorrent as lt  # noqa: PLC0415  It may be absent.

    storage = lt.file_storage()
    storage.add_file(content.name, content.stat().st_size)
    made = lt.create_torrent(storage, PIECE, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, str(content.parent))
    torrent.write_bytes(lt.bencode(made.generate()))


class _Session:
    def __init__(self, lt: Any) -> None:
        self._lt = lt
        self._session = lt.session({**SETTINGS, "listen_interfaces": "127.0.0.1:0"})
        self._handle: Any = None

    @property
    def port(self) -> int:
        port: int = self._session.listen_port()
        return port

    def add(self, torrent: str, directory: str, seed: bool) -> None:
        """
        Begin to share; a seed has everything already.
        """
        params = self._lt.add_torrent_params()
        params.ti = self._lt.torrent_info(torrent)
        params.save_path = directory
        flags = self._lt.torrent_flags
        params.flags &= ~(flags.auto_managed | flags.paused)
        if seed:
            params.flags |= flags.seed_mode
        self._handle = self._session.add_torrent(params)
        while not self._handle.status().has_metadata:
            _pause()

    def connect(self, ports: list[int]) -> None:
        """
        Make connections to others.
        """
        for port in ports:
            self._handle.connect_peer(("127.0.0.1", port))

    def finish(self) -> None:
        """
        Wait until everything is there and checked.
        """
        while not self._handle.status().is_seeding:
            _pause()


def _pause() -> None:
    time.sleep(0.01)  # noqa: TID251  In a process of its own.


def main() -> None:
    """
    Do what the standard input says: ``["add", torrent, directory, seed]``,
    ``["connect", ports]`` or ``["finish"]``.
    """
    import libtorrent as lt  # noqa: PLC0415  It may be absent.

    session = _Session(lt)
    while not session.port:
        _pause()
    print(session.port, flush=True)
    for line in sys.stdin:
        word, *arguments = json.loads(line)
        getattr(session, word)(*arguments)
        print("done", flush=True)


class Swarm:
    """
    A seed and so many others, who know each other's addresses and nothing else.

    Args:
        directory: Where all files are, best in memory.
        content: The file that the seed has.
        count: How many download it.
    """

    def __init__(self, directory: Path, content: Path, count: int) -> None:
        torrent = directory / "torrent"
        if not torrent.exists():
            make(content, torrent)
        self.seed = Peer()
        self.others = [Peer() for _ in range(count)]
        self.seed.tell("add", torrent, content.parent, True)
        self.seed.wait()
        self._torrent = torrent
        self._directory = directory

    def distribute(self) -> None:
        """
        Let all others download at once, and wait until the last has everything.
        """
        peers = [self.seed, *self.others]
        for number, peer in enumerate(self.others):
            place = self._directory / f"peer{number}"
            peer.tell("add", self._torrent, place, False)
            # One of each two makes the connection.
            peer.tell("connect", [each.port for each in peers[: number + 1]])
            peer.tell("finish")
        waiting = [
            threading.Thread(target=lambda each=peer: [each.wait() for _ in range(3)])
            for peer in self.others
        ]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()

    def stop(self) -> None:
        """
        End all processes.
        """
        for peer in (self.seed, *self.others):
            peer.stop()


if __name__ == "__main__":
    main()
