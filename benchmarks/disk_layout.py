"""
What writing a chunk costs by how it is laid out and synced: milliseconds a chunk, and
how far the disk is behind at the end.

    python -m benchmarks.disk_layout [--chunks 200] [--mib 8] [--rounds 3]
"""

import argparse
import mmap
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import attrs

_MIB = 1024 * 1024
_FOLDERS = 16
_GROUP = 64 * _MIB


@attrs.define
class Plan:
    """
    How chunks are written.

    Attributes:
        name: For the table.
        allocate: Whether the blocks are reserved first.
        each: Whether each file is synced before the next one.
        folder: Whether its folder is synced as well.
        group: Bytes after which what has been written since is synced; 0 for never.
        direct: Whether the page cache is passed by.
        slab: Whether chunks are written into slots of one file.
    """

    name: str
    allocate: bool = False
    each: bool = False
    folder: bool = False
    group: int = 0
    direct: bool = False
    slab: bool = False


PLANS = (
    Plan("write, rename"),
    Plan("fallocate, write, rename", allocate=True),
    Plan("the same, fdatasync of each", allocate=True, each=True),
    Plan("the same, and fsync of its folder", allocate=True, each=True, folder=True),
    Plan("groups of 64 MiB, fdatasync, then folders", allocate=True, group=_GROUP),
    Plan("groups of 256 MiB", allocate=True, group=4 * _GROUP),
    Plan("O_DIRECT, fallocate, rename", allocate=True, direct=True),
    Plan("one file with slots", slab=True),
    Plan("one file with slots, fdatasync of each", slab=True, each=True),
)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _write_file(root: Path, plan: Plan, number: int, data: mmap.mmap) -> Path:
    folder = root / f"{number % _FOLDERS:02x}"
    temporary, final = root / f"{number}.tmp", folder / str(number)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_DIRECT if plan.direct else 0)
    fd = os.open(temporary, flags, 0o600)
    if plan.allocate:
        os.posix_fallocate(fd, 0, len(data))
    os.write(fd, data)
    if plan.each:
        os.fdatasync(fd)
    os.close(fd)
    temporary.rename(final)
    if plan.folder:
        _sync_folder(folder)
    return final


def _sync_group(paths: list[Path]) -> None:
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.fdatasync(fd)
        os.close(fd)
    for folder in {path.parent for path in paths}:
        _sync_folder(folder)


def _files(root: Path, plan: Plan, data: mmap.mmap) -> Callable[[int], None]:
    for number in range(_FOLDERS):
        (root / f"{number:02x}").mkdir()
    written: list[Path] = []

    def write(number: int) -> None:
        written.append(_write_file(root, plan, number, data))
        if plan.group and len(written) * len(data) >= plan.group:
            _sync_group(written)
            written.clear()

    return write


def _slots(
    root: Path, plan: Plan, data: mmap.mmap, count: int
) -> Callable[[int], None]:
    fd = os.open(root / "slab", os.O_RDWR | os.O_CREAT, 0o600)
    os.posix_fallocate(fd, 0, count * len(data))

    def write(number: int) -> None:
        os.pwrite(fd, data, number * len(data))
        if plan.each:
            os.fdatasync(fd)

    return write


def measure(directory: Path | None, plan: Plan, count: int, length: int) -> list[float]:
    """
    Write chunks.

    Returns:
        Milliseconds for each, processor milliseconds for one, and how many it takes
        then to have everything on the disk.
    """
    data = mmap.mmap(-1, length)
    data.write(os.urandom(length))
    with tempfile.TemporaryDirectory(prefix="eliop2p-bench-", dir=directory) as scratch:
        root = Path(scratch)
        if plan.slab:
            write = _slots(root, plan, data, count)
        else:
            write = _files(root, plan, data)
        os.sync()
        times = []
        cpu = time.process_time()
        for number in range(count):
            began = time.perf_counter()
            write(number)
            times.append((time.perf_counter() - began) * 1e3)
        cpu = (time.process_time() - cpu) * 1e3 / count
        began = time.perf_counter()
        os.sync()
        behind = (time.perf_counter() - began) * 1e3
    return [*times, cpu, behind]


def main() -> None:
    """
    Read the arguments, measure the plans in turn, and print a table.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--mib", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path)
    given = parser.parse_args()
    results: dict[str, list[list[float]]] = {plan.name: [] for plan in PLANS}
    for _ in range(given.rounds):
        for plan in PLANS:
            found = measure(given.directory, plan, given.chunks, given.mib * _MIB)
            results[plan.name].append(found)
    print(f"{given.mib} MiB chunks, {given.chunks} x {given.rounds}:")
    print("| how | ms, mean | p99 | processor ms | MB/s | still to be written, ms |")
    print("|---|---|---|---|---|---|")
    for name, rounds in results.items():
        times = sorted(each for found in rounds for each in found[:-2])
        mean = statistics.mean(times)
        behind = statistics.median(found[-1] for found in rounds)
        total = sum(times) / given.rounds + behind
        rate = given.chunks * given.mib * _MIB / 1e3 / total
        print(
            f"| {name} | {mean:.1f} | {times[int(len(times) * 0.99)]:.0f} "
            f"| {statistics.median(found[-2] for found in rounds):.1f} "
            f"| {rate:.0f} | {behind:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
