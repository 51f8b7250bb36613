"""
Real disks that are full, read-only, taken away, or lose their power.
"""

import contextlib
import fcntl
import os
import random
import signal
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from eliop2p.cache.layout import CEILING_FILE
from tests.cache.crashes import Crashes
from tests.cache.disk_tools import bytes_below
from tests.functional.one_node import OneNode, fetch, make_node

_MIB = 1024 * 1024
OBJECTS = 12
POWER_CUTS = int(os.environ.get("POWER_CUTS", "12"))
OBJECT_BYTES = 6 * _MIB
CAP = 48 * _MIB
PATIENCE = 60.0
"""
Seconds within which a node has noticed that its disk works again.
"""

EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_FLUSHING = struct.pack("I", 2)


def mount(*arguments: str) -> None:
    """
    Mount something, or skip the test when that is not permitted.
    """
    done = subprocess.run(
        ["mount", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")


def mount_again(image: Path, mounted: Path) -> None:
    """
    Mount a disk that has been mounted before.
    """
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)


def unmount(path: Path, *flags: str) -> None:
    """
    Unmount something.
    """
    subprocess.run(["umount", *flags, str(path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """
    A file system of 64 MiB.
    """
    path = tmp_path / "disk"
    path.mkdir()
    mount("-t", "tmpfs", "-o", "size=64m", "none", str(path))
    try:
        yield path
    finally:
        while path.is_mount():
            unmount(path, "-l")


class Clients:
    """
    Four clients that read objects, one after the other, and check every byte.

    Attributes:
        reads: How many objects they have read.
        failures: What went wrong.
    """

    def __init__(self, node: OneNode, objects: list[bytes]) -> None:
        self.reads = 0
        self.failures: list[str] = []
        self._node = node
        self._objects = objects
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(seed,)) for seed in range(4)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int) -> None:
        """
        Wait until so many more objects have been read.
        """
        wanted = self.reads + count
        wait(lambda: self.reads >= wanted or bool(self.failures), "reads")

    def _read(self, seed: int) -> None:
        rng = random.Random(seed)
        while not self._stop.is_set():
            number = rng.randrange(OBJECTS)
            status, body = fetch(f"{self._node.url}/models/{number}")
            if status != 200 or body != self._objects[number]:
                self.failures.append(f"{number}: {status}, {len(body)} bytes")
            self.reads += 1


def wait(holds: Callable[[], bool], what: str) -> None:
    """
    Wait until something holds, as long as a node may take to try its disk again.
    """
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.1)):
        if holds():
            return
        pause.wait(0.1)
    raise AssertionError(f"not within {PATIENCE:.0f} s: {what}")


@pytest.fixture
def objects() -> list[bytes]:
    """
    What clients read: more than the disk holds.
    """
    return [random.Random(number).randbytes(OBJECT_BYTES) for number in range(OBJECTS)]


def serve(tmp_path: Path, disk: Path, objects: list[bytes]) -> OneNode:
    """
    Run a node with a disk tier of 48 MiB and next to no memory.
    """
    made = make_node(tmp_path)
    for number, data in enumerate(objects):
        (tmp_path / "store" / "models" / str(number)).write_bytes(data)
    made.configure(
        cache={
            "memory_cache_size_mb": 2,
            "disk_cache_size_mb": CAP // _MIB,
            "disk_cache_path": str(disk),
            "chunk_size_mb": 1,
            "min_free_mb": 0,
        }
    )
    made.start()
    return made


def mount_image(image: Path, mounted: Path) -> None:
    """
    Make a disk of 256 MiB in a file, and mount it.
    """
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(256 * _MIB)
    made = subprocess.run(["mkfs.ext4", "-q", str(image)], check=False)
    if made.returncode:
        pytest.skip("cannot make an ext4 file system")
    mount("-o", "loop", str(image), str(mounted))


def cut_power(mounted: Path) -> None:
    """
    Let nothing reach a disk any more; what has not been synced is lost.
    """
    fd = os.open(mounted, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, WITHOUT_FLUSHING)
    except OSError as error:
        pytest.skip(f"cannot cut the power: {error}")
    finally:
        os.close(fd)


def loop_devices(image: Path) -> str:
    """
    Name the devices that stand for an image: one goes away with its last open file.
    """
    return subprocess.run(
        ["losetup", "-j", str(image)], check=True, capture_output=True, text=True
    ).stdout


def degraded(node: OneNode) -> bool:
    """
    Ask the node whether its disk tier takes part.
    """
    return node.metric("eliop2p_cache_degraded") > 0


def fill_up(path: Path) -> None:
    """
    Leave no space in a file system.
    """
    with path.open("wb", buffering=0) as file:
        for size in (_MIB, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def own_bytes(disk: Path) -> int:
    """
    Add up the blocks of the tier's own files.
    """
    foreign = disk / "foreign"
    return bytes_below(str(disk)) - (foreign.stat().st_size if foreign.exists() else 0)


def test_full(tmp_path: Path, disk: Path, objects: list[bytes]) -> None:
    """
    While others fill the disk to its last byte every read succeeds, the tier says that
    it is short of space, stays below its cap, and takes chunks again afterwards.
    """
    node = serve(tmp_path, disk, objects)
    try:
        with Clients(node, objects) as clients:
            clients.more(40)
            assert own_bytes(disk) > CAP // 2
            for _ in range(3):
                fill_up(disk / "foreign")
                clients.more(20)
                assert own_bytes(disk) <= CAP
            wait(lambda: degraded(node), "the node notices")
            clients.more(20)
            (disk / "foreign").unlink()
            wait(lambda: not degraded(node), "the node recovers")
            clients.more(40)
            assert CAP // 2 < own_bytes(disk) <= CAP
        assert clients.failures == []
        print(f"{clients.reads} reads, {len(clients.failures)} failed")
        told = [line for line in node.output.splitlines() if "disk cache" in line]
        assert len(told) <= 2, told
        assert node.end() in {0, -signal.SIGTERM}
    finally:
        node.close()


def test_dead_and_away(tmp_path: Path, objects: list[bytes]) -> None:
    """
    A disk that fails at everything, and then is not there at all, costs no read. When
    it is mounted again the tier works by itself, and fills up.
    """
    image, mounted = tmp_path / "image", tmp_path / "disk"
    mount_image(image, mounted)
    node = serve(tmp_path, mounted, objects)
    try:
        with Clients(node, objects) as clients:
            clients.more(60)
            subprocess.run(["sync", "-f", str(mounted)], check=True)
            cut_power(mounted)
            wait(lambda: degraded(node), "the node notices that the disk is dead")
            clients.more(20)
            unmount(mounted, "-l")
            clients.more(20)
            assert list(mounted.iterdir()) == []
            wait(lambda: not loop_devices(image), "nobody holds the disk any more")
            mount_again(image, mounted)
            before = own_bytes(mounted)
            assert before > CAP // 4
            wait(lambda: not degraded(node), "the node uses the disk again")
            hits = node.metric("eliop2p_served_bytes_total")
            clients.more(40)
            assert node.metric("eliop2p_served_bytes_total") > hits
            wait(lambda: own_bytes(mounted) > CAP // 2, "the tier is filled again")
            assert own_bytes(mounted) <= CAP
        assert clients.failures == []
        print(f"{clients.reads} reads, {len(clients.failures)} failed")
        assert node.end() in {0, -signal.SIGTERM}
    finally:
        node.close()
        while mounted.is_mount():
            unmount(mounted, "-l")


class PowerCuts(Crashes):
    """
    A disk whose power fails before its processes are killed.
    """

    def __init__(self, mounted: Path, image: Path, seed: int) -> None:
        super().__init__(str(mounted / "cache"), seed, pause=0.5)
        self._mounted = mounted
        self._image = image

    def killing(self) -> None:
        """
        Lose what has not been synced.
        """
        cut_power(self._mounted)

    def killed(self) -> None:
        """
        Mount the disk again.
        """
        unmount(self._mounted)
        mount_again(self._image, self._mounted)
        ceiling = self._mounted / "cache" / CEILING_FILE
        if ceiling.exists():
            size = bytes_below(self._path)
            self.tally.over += size > int(ceiling.read_bytes())


def test_power(tmp_path: Path) -> None:
    """
    Of the chunks that were said to be synced none is lost in a power failure, of the
    others none is read with wrong bytes, and never are there more bytes than the file
    says from which the next start takes how much room there is.
    """
    image, mounted = tmp_path / "image", tmp_path / "mounted"
    mount_image(image, mounted)
    try:
        cuts = PowerCuts(mounted, image, 3)
        for seed in range(POWER_CUTS):
            cuts.crash(seed)
    finally:
        while mounted.is_mount():
            unmount(mounted, "-l")
    print(cuts.tally)
    assert (cuts.tally.lost_synced, cuts.tally.over) == (0, 0)
    assert cuts.tally.wrong_bytes == 0
    assert cuts.tally.synced > 100
