"""
``eliop2p verify``: check every chunk on the disk, and every part of one, against its
digest.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import attrs
import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from eliop2p.base.config import load_node_config
from eliop2p.base.errors import CorruptChunk
from eliop2p.cache.disk_claim import check_format
from eliop2p.cache.files import ChunkFiles
from eliop2p.cache.layout import FOLDERS, FORMAT_FILE, ChunkName, size_on_disk
from eliop2p.cache.partial_files import FoundPartial, PartialFiles
from eliop2p.cache.partial_layout import PARTIAL, parse_partial
from eliop2p.cli.show import readable_bytes


@attrs.frozen
class Bad:
    """
    A chunk that is not as it should be.

    Attributes:
        file: Its file.
        reason: What is wrong with it.
    """

    file: str
    reason: str


@attrs.define
class Report:
    """
    What was found.

    Attributes:
        directory: Where.
        chunks: How many chunks were read.
        parts: How many chunks were read of which only a part is there.
        bytes: How many bytes all of them have.
        unknown: Bytes in the folders in files that are not chunks.
        bad: Chunks that are not as they should be.
        removed: How many of those were removed.
    """

    directory: str
    chunks: int = 0
    parts: int = 0
    bytes: int = 0
    unknown: int = 0
    bad: list[Bad] = attrs.field(factory=list)
    removed: int = 0


def configured_directory(file: str | None) -> Path:
    """
    Find the directory that a node with this configuration uses.

    Raises:
        ConfigError: The configuration is wrong.
        click.UsageError: The node keeps its chunks elsewhere.
    """
    cache = load_node_config(file, os.environ, {}).cache
    if cache.disk_backend != "directory":
        raise click.UsageError(
            f"[cache] disk_backend is {cache.disk_backend}; only the chunks of "
            "directory can be verified"
        )
    return Path(cache.disk_cache_path)


def find_chunks(files: ChunkFiles, report: Report) -> Iterator[ChunkName]:
    """
    List the chunks of a directory.

    Raises:
        click.ClickException: A folder cannot be read.
    """
    for number in range(len(FOLDERS)):
        try:
            found = files.scan(number)
        except OSError as error:
            raise click.ClickException(f"{files.root}: {error.strerror}") from None
        report.unknown += found.unknown
        yield from found.names


def find_partials(
    files: PartialFiles, root: Path, report: Report
) -> Iterator[FoundPartial]:
    """
    List the chunks that are not whole.

    Raises:
        click.ClickException: Their folder cannot be read.
    """
    try:
        paths = list((root / PARTIAL).iterdir())
    except OSError as error:
        raise click.ClickException(f"{root / PARTIAL}: {error.strerror}") from None
    for path in paths:
        name = parse_partial(path.name)
        if name is None:
            report.unknown += size_on_disk(path.lstat().st_size)
            continue
        with contextlib.suppress(FileNotFoundError):
            yield files.look(name)


def _check_partial(files: PartialFiles, found: FoundPartial) -> None:
    wrong = len(found.records) - len(files.load(found.name, found.records))
    if wrong:
        raise CorruptChunk(f"has another content in {wrong} of its extents")


def check(file: str, read: Callable[[], None], report: Report) -> bool | None:
    """
    Read a file, and note what is wrong with it.

    Returns:
        Whether it is as it should be; None when a running node has removed it
        meanwhile.
    """
    try:
        read()
    except FileNotFoundError:
        return None
    except CorruptChunk as error:
        reason = str(error).removeprefix(f"{Path(file).name} ")
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return True
    report.bad.append(Bad(file, reason))
    return False


def _progress(*, shown: bool) -> Progress:
    return Progress(
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not shown,
    )


def check_all(files: ChunkFiles, *, remove: bool) -> Report:
    """
    Check every chunk of a directory.

    Raises:
        click.ClickException: The directory cannot be read.
    """
    report = Report(str(files.root))
    partial_files = PartialFiles(files)
    names = list(find_chunks(files, report))
    partials = list(find_partials(partial_files, files.root, report))
    sizes = [sum(r.extent.length for r in each.records) for each in partials]
    with _progress(shown=sys.stderr.isatty()) as progress:
        total = sum(name.length for name in names) + sum(sizes)
        task = progress.add_task("", total=total)
        for name in names:
            good = check(name.path, partial(files.verify, name), report)
            report.chunks += good is not None
            report.bytes += name.length if good is not None else 0
            if good is False and remove:
                report.removed += files.remove((name,)) == (None,)
            progress.advance(task, name.length)
        for found, size in zip(partials, sizes, strict=True):
            read = partial(_check_partial, partial_files, found)
            good = check(found.name.path, read, report)
            report.parts += good is not None
            report.bytes += size if good is not None else 0
            if good is False and remove:
                report.removed += partial_files.remove(found.name) is None
            progress.advance(task, size)
    return report


def _show(report: Report) -> None:
    for bad in report.bad:
        click.echo(f"{bad.file}: {bad.reason}")
    removed = f", {report.removed} removed" if report.removed else ""
    click.echo(
        f"{report.directory}: {report.chunks} chunks, {report.parts} parts of chunks, "
        f"{readable_bytes(report.bytes)}, {len(report.bad)} bad{removed}"
    )
    if report.unknown:
        click.echo(f"other files among them: {readable_bytes(report.unknown)}")


@click.command()
@click.argument("directory", required=False)
@click.option("--config", "file", metavar="FILE", help="The node's INI file.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--remove", is_flag=True, help="Remove bad chunks; no node may run.")
def verify(directory: str | None, file: str | None, as_json: bool, remove: bool) -> int:
    """
    Check every chunk on the disk against its digest.

    Reads DIRECTORY, or the one that the configuration names. Changes nothing and needs
    no node to be stopped, unless --remove is given. Exits with 1 if any chunk is bad.
    """
    if directory and file:
        raise click.UsageError("give either DIRECTORY or --config")
    root = Path(directory) if directory else configured_directory(file)
    if not (root / FORMAT_FILE).is_file():
        raise click.ClickException(f"{root}: there is no disk cache here")
    files = ChunkFiles(str(root))
    if remove:
        files.claim()
    else:
        check_format(root)
    try:
        report = check_all(files, remove=remove)
    finally:
        files.release()
    if as_json:
        click.echo(json.dumps(attrs.asdict(report), indent=2))
    else:
        _show(report)
    return 1 if report.bad else 0
