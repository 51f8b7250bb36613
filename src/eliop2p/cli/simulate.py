"""
``eliop2p simulate``: how long a crowd of nodes takes to read an object.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from eliop2p.cli.show import readable_bytes, table

GBIT = 1e9 / 8
SCALED_CHUNK = 64 * 1024
"""
Length of a simulated chunk in bytes: sizes and rates are scaled down together.
"""


@click.command()
@click.option(
    "--nodes",
    default=100,
    show_default=True,
    type=click.IntRange(2, 10_000),
    help="Nodes.",
)
@click.option(
    "--object-size",
    default=512,
    show_default=True,
    type=click.IntRange(1),
    help="The object, in MiB.",
)
@click.option(
    "--chunk-size",
    default=8,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="A chunk, in MiB.",
)
@click.option(
    "--uplink",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.001),
    help="Gbit/s of a node.",
)
@click.option(
    "--downlink",
    default=None,
    type=click.FloatRange(0.001),
    help="As uplink if not set.",
)
@click.option(
    "--origin",
    default=40.0,
    show_default=True,
    type=click.FloatRange(0.001),
    help="Gbit/s of the store.",
)
@click.option(
    "--origin-latency",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Milliseconds.",
)
@click.option(
    "--latency",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0.001),
    help="Milliseconds.",
)
@click.option(
    "--scenario",
    default="cold",
    show_default=True,
    metavar="NAME",
    type=click.Choice(
        [
            "cold",
            "killed",
            "slow",
            "disputed",
            "parted",
            "controlled",
            "uncontrolled",
            "unanswered",
        ]
    ),
    help="cold, killed, slow, disputed, parted, controlled, uncontrolled or "
    "unanswered.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Decides all that chance decides."
)
@click.option(
    "--plot",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an SVG.",
)
def simulate(
    *,
    nodes: int,
    object_size: int,
    chunk_size: int,
    uplink: float,
    downlink: float | None,
    origin: float,
    origin_latency: float,
    latency: float,
    scenario: str,
    seed: int,
    plot: Path | None,
) -> int:
    """
    Simulate nodes that read an object at the same time.

    Runs the code of real nodes on a simulated network. Exits with 1 if a read failed.
    """
    # What simulates is no part of a running node, and takes a while to import.
    from eliop2p.testing.crowd_parts import CrowdPlan  # noqa: PLC0415
    from eliop2p.testing.crowd_plot import plot as draw  # noqa: PLC0415
    from eliop2p.testing.scenarios import SCENARIOS  # noqa: PLC0415

    length = chunk_size * 1024 * 1024
    plan = CrowdPlan(
        nodes=nodes,
        chunks=-(-object_size // chunk_size),
        chunk_size=length,
        scale=length // SCALED_CHUNK,
        uplink=uplink * GBIT,
        downlink=(downlink or uplink) * GBIT,
        store_rate=origin * GBIT,
        store_latency=origin_latency / 1000,
        latency=latency / 1000,
        seed=seed,
    )
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as bar:
        outcome = SCENARIOS[scenario](plan, _follow(bar, nodes))
    rows = (
        ("object", readable_bytes(plan.size)),
        ("bound", f"{plan.bound:.3f} s"),
        ("half of the nodes", f"{outcome.ratio(0.5):.2f} x bound"),
        ("all nodes", f"{outcome.ratio(1.0):.2f} x bound"),
        ("read from the store", f"{outcome.amplification:.3f} x object"),
        ("least that could be read", f"{outcome.least:.3f} x object"),
        ("messages", f"{outcome.messages:.1f} for each chunk and node"),
        ("failed or wrong", str(outcome.failed + outcome.wrong + outcome.hanging)),
        ("fingerprint", outcome.fingerprint[:16]),
    )
    peaks = [(peak.what, f"{peak.most:,}", f"{peak.bound:,}") for peak in outcome.peaks]
    Console().print(table("what", "result", rows=rows))
    Console().print(table("at most on one node", "found", "bound", rows=peaks))
    if plot is not None:
        title = f"{nodes} nodes, {readable_bytes(plan.size)}, {scenario}, seed {seed}"
        plot.write_text(draw(title, [(scenario, outcome)]), encoding="utf-8")
    return int(bool(outcome.failed + outcome.wrong + outcome.hanging))


def _follow(bar: Progress, nodes: int) -> Callable[[int, int, float], None]:
    task = bar.add_task("simulating", total=nodes)

    def progress(done: int, _of: int, seconds: float) -> None:
        bar.update(task, completed=done, description=f"{seconds:.2f} s")

    return progress
