"""
``eliop2p verify``: check every chunk on the disk against its digest.
"""

import json
import os
import sys
from collections.abc import Iterator
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
from eliop2p.cache.layout import FOLDERS, FORMAT_FILE, ChunkName
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
        bytes: How many bytes they have.
        unknown: Bytes in the folders in files that are not chunks.
        bad: Chunks that are not as they should be.
        removed: How many of those were removed.
    """

    directory: str
    chunks: int = 0
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


def check(files: ChunkFiles, name: ChunkName, report: Report) -> bool:
    """
    Read a chunk, and note what is wrong with it; one that a running node has evicted
    meanwhile is left out.

    Returns:
        Whether it is as it should be.
    """
    reason = ""
    try:
        files.verify(name)
    except FileNotFoundError:
        return True
    except CorruptChunk as error:
        reason = str(error).removeprefix(f"{name} ")
    except OSError as error:
        reason = error.strerror or str(error)
    report.chunks += 1
    report.bytes += name.length
    if reason:
        report.bad.append(Bad(name.path, reason))
    return not reason


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
    names = list(find_chunks(files, report))
    with _progress(shown=sys.stderr.isatty()) as progress:
        total = sum(name.length for name in names)
        task = progress.add_task("", total=total)
        for name in names:
            if not check(files, name, report) and remove:
                report.removed += files.remove((name,)) == (None,)
            progress.advance(task, name.length)
    return report


def _show(report: Report) -> None:
    for bad in report.bad:
        click.echo(f"{bad.file}: {bad.reason}")
    removed = f", {report.removed} removed" if report.removed else ""
    click.echo(
        f"{report.directory}: {report.chunks} chunks, {readable_bytes(report.bytes)}, "
        f"{len(report.bad)} bad{removed}"
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
