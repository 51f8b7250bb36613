"""
What is simulated of a swarm: cold crowds, what goes wrong with them, and epochs.

Each scenario is a function of a plan; the same plan gives the same result, to the last
byte.
"""

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from eliop2p.testing.crowd import Crowd, CrowdNode, Reader
from eliop2p.testing.crowd_bounds import Peak, Peaks, weigh
from eliop2p.testing.crowd_joining import Plane, joined
from eliop2p.testing.crowd_needs import least_sent
from eliop2p.testing.crowd_parts import CrowdPlan

STEP = 0.01
"""
Seconds of simulated time between two looks at a crowd.
"""

LIMIT = 600.0
"""
Seconds of simulated time after which reads that have not ended count as hanging.
"""

EPOCH_SECONDS = 60.0
"""
Seconds that an epoch lasts, at least.
"""

Progress = Callable[[int, int, float], None]
"""
Told how many reads of how many have ended, and the seconds that have passed.
"""

Event = tuple[float, Callable[[], None]]
"""
Seconds after the start of the reads, and what happens then.
"""


@attrs.frozen(kw_only=True)
class Outcome:
    """
    What came of a scenario.

    Attributes:
        plan: What was simulated.
        times: Seconds that each read took that counts, sorted.
        counted: How many reads count: those of survivors, or of fast nodes.
        amplification: Bytes that the store sent, relative to those of the object.
        least: The same if it had sent none that could be spared: more than 1 where
            nodes died, or were cut off, with bytes that nobody else had.
        messages: Control messages sent for each chunk that a node got.
        wrong: Reads with a wrong byte.
        failed: Reads that ended with an error.
        hanging: Reads that did not end.
        entries: The most chunks that one directory knew.
        fingerprint: Of all that happened.
        peaks: The most that tables and queues held, beside their bounds.
        joining: Seconds before the reads until all nodes knew each other; 0 where they
            were told.
    """

    plan: CrowdPlan
    times: tuple[float, ...]
    counted: int
    amplification: float
    messages: float
    wrong: int
    failed: int
    hanging: int
    entries: int
    fingerprint: str
    peaks: tuple[Peak, ...]
    joining: float = 0.0
    least: float = 1.0

    def ratio(self, part: float) -> float:
        """
        Give the time until a part of the nodes had the object, relative to the bound.
        """
        index = max(0, -(-int(self.counted * part * 1000) // 1000) - 1)
        if index >= len(self.times):
            return float("inf")
        return self.times[index] / self.plan.bound


def _silent(_done: int, _of: int, _seconds: float) -> None:
    """
    Tell nobody.
    """


def read_all(
    crowd: Crowd,
    events: tuple[Event, ...] = (),
    progress: Progress = _silent,
    counts: Callable[[CrowdNode], bool] = lambda _: True,
) -> Outcome:
    """
    Let every node read the object at once.

    Args:
        crowd: The nodes, which know each other.
        events: What happens besides, and how many seconds after the start.
        progress: Told how it goes.
        counts: Which nodes' reads count.
    """
    clock, layout = crowd.clock, crowd.layout()
    start = clock.seconds()
    readers: list[tuple[CrowdNode, Reader]] = []
    before, peaks = _messages(crowd), Peaks(crowd)

    def begin(node: CrowdNode) -> None:
        readers.append((node, node.read(layout)))

    for node in crowd.nodes:
        clock.callLater(crowd.rng.uniform(0, crowd.plan.spread), begin, node)
    for seconds, event in events:
        clock.callLater(seconds, event)
    with _few_collections():
        while clock.seconds() < start + LIMIT:
            crowd.pass_time(STEP)
            peaks.look()
            left = [node for node, reader in readers if _is_awaited(node, reader)]
            ended = len(readers) - len(left)
            progress(ended, len(crowd.nodes), clock.seconds() - start)
            if len(readers) == len(crowd.nodes) and not left:
                break
    counted = [(n, r) for n, r in readers if n.host.is_alive and counts(n)]
    found = (*peaks.found(), weigh(crowd))
    return _outcome(crowd, counted, _messages(crowd) - before, found)


@contextmanager
def _few_collections() -> Iterator[None]:
    """
    Look for garbage seldom: a crowd makes millions of objects that stay.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _is_awaited(node: CrowdNode, reader: Reader) -> bool:
    return reader.ended is None and node.host.is_alive


def _messages(crowd: Crowd) -> int:
    return sum(node.links.messages_sent for node in crowd.nodes)


def _outcome(
    crowd: Crowd,
    readers: list[tuple[CrowdNode, Reader]],
    messages: int,
    peaks: tuple[Peak, ...],
) -> Outcome:
    plan = crowd.plan
    ended = [r for _, r in readers if r.ended is not None and not r.error]
    return Outcome(
        plan=plan,
        times=tuple(sorted((r.ended or 0.0) - r.began for r in ended)),
        counted=len(readers),
        amplification=crowd.origin.sent / (plan.chunks * crowd.chunk_size),
        messages=messages / (plan.nodes * plan.chunks),
        wrong=sum(reader.sender.wrong for _, reader in readers),
        failed=sum(bool(reader.error) for _, reader in readers),
        hanging=sum(reader.ended is None for _, reader in readers),
        entries=max(len(node.swarm.directory) for node in crowd.nodes),
        fingerprint=crowd.fingerprint(),
        peaks=peaks,
    )


def cold(plan: CrowdPlan, progress: Progress = _silent) -> Outcome:
    """
    Nobody has anything, and everybody wants the object.
    """
    crowd = Crowd(plan)
    crowd.introduce()
    return read_all(crowd, progress=progress)


def killed(
    plan: CrowdPlan, progress: Progress = _silent, part: float = 0.05
) -> Outcome:
    """
    A part of the nodes loses its power half way, and nobody is told.
    """
    crowd = Crowd(plan)
    crowd.introduce()
    victims = _some(crowd, part)
    survivors = [node for node in crowd.nodes if node not in victims]

    def kill() -> None:
        for node in victims:
            crowd.vanish(node)

    return _read_despite(crowd, (plan.bound / 2, kill), [survivors], progress)


def slow(plan: CrowdPlan, progress: Progress = _silent, part: float = 0.05) -> Outcome:
    """
    A part of the nodes has a tenth of the others' rates; the others' reads count.
    """
    crowd = Crowd(plan)
    crowd.introduce()
    snails = _some(crowd, part)
    for node in snails:
        crowd.network.limit(
            node.me.host,
            uplink=plan.uplink / plan.scale / 10,
            downlink=plan.downlink / plan.scale / 10,
        )
    return read_all(crowd, progress=progress, counts=lambda node: node not in snails)


def disputed(
    plan: CrowdPlan, progress: Progress = _silent, part: float = 0.1
) -> Outcome:
    """
    Each node does not know a part of the others, another part for each.
    """
    crowd = Crowd(plan)
    names = [node.me.node_id for node in crowd.nodes]

    def view(node: CrowdNode) -> list[str]:
        known = crowd.rng.sample(names, round(len(names) * (1 - part)))
        return [*known, node.me.node_id]

    crowd.introduce(view)
    return read_all(crowd, progress=progress)


def parted(
    plan: CrowdPlan, progress: Progress = _silent, seconds: float = 30.0
) -> Outcome:
    """
    From a quarter of the time on, half of the nodes cannot reach the other half.
    """
    crowd = Crowd(plan)
    crowd.introduce()
    half = len(crowd.nodes) // 2
    sides = {node.me.host: int(at < half) for at, node in enumerate(crowd.nodes)}
    fabric = crowd.network.fabric
    start = plan.bound / 4
    cut, heal = (start, lambda: fabric.split(sides)), (start + seconds, fabric.join)
    halves = [crowd.nodes[:half], crowd.nodes[half:]]
    return _read_despite(crowd, cut, halves, progress, heal)


def _read_despite(
    crowd: Crowd,
    loss: Event,
    groups: list[list[CrowdNode]],
    progress: Progress,
    *later: Event,
) -> Outcome:
    """
    Let every node read the object, and something be lost meanwhile.

    Args:
        crowd: The nodes.
        loss: What happens.
        groups: The nodes that can reach each other after it.
        progress: Told how it goes.
        later: What happens after it.
    """
    least = [1.0]
    seconds, lose = loss

    def happen() -> None:
        lose()
        least.append(least_sent(crowd, groups))

    outcome = read_all(crowd, ((seconds, happen), *later), progress)
    return attrs.evolve(outcome, least=max(least))


def controlled(plan: CrowdPlan, progress: Progress = _silent) -> Outcome:
    """
    Nodes that know each other from a control plane.
    """
    return _after_joining(plan, progress, Plane.RUNS)


def uncontrolled(plan: CrowdPlan, progress: Progress = _silent) -> Outcome:
    """
    Nodes that know each other by gossip alone: the address of the control plane refuses
    all the time.
    """
    return _after_joining(plan, progress, Plane.REFUSES)


def unanswered(plan: CrowdPlan, progress: Progress = _silent) -> Outcome:
    """
    The same, but what is sent to the control plane is lost.
    """
    return _after_joining(plan, progress, Plane.SILENT)


def _after_joining(plan: CrowdPlan, progress: Progress, plane: Plane) -> Outcome:
    crowd = Crowd(plan)
    with joined(crowd, plane) as seconds:
        crowd.pass_time(plan.settle)
        outcome = read_all(crowd, progress=progress)
    return attrs.evolve(outcome, joining=seconds)


def epochs(plan: CrowdPlan, cache: float, count: int = 3) -> list[float]:
    """
    Nodes read disjoint parts of a data set, dealt anew for each epoch.

    Args:
        plan: Its chunks are the data set.
        cache: The cluster's memory, relative to the data set.
        count: How many epochs.

    Returns:
        For each epoch the bytes that the store sent, relative to the data set.
    """
    each = max(1, round(plan.chunks * cache / plan.nodes))
    crowd = Crowd(attrs.evolve(plan, cache=each))
    crowd.introduce()
    layout = crowd.layout()
    shares, before = [], 0
    for epoch in range(count):
        rng = random.Random(f"epoch {epoch} {plan.seed}")  # noqa: S311  # Simulated.
        order = list(range(plan.chunks))
        rng.shuffle(order)
        for at, node in enumerate(crowd.nodes):
            node.read_chunks(layout, order[at :: plan.nodes])
        crowd.pass_time(EPOCH_SECONDS)
        while any(node.reading for node in crowd.nodes):
            crowd.pass_time(STEP)
        shares.append((crowd.origin.sent - before) / (plan.chunks * crowd.chunk_size))
        before = crowd.origin.sent
    return shares


def _some(crowd: Crowd, part: float) -> list[CrowdNode]:
    """
    Draw a part of the nodes, at least one.
    """
    return crowd.rng.sample(crowd.nodes, max(1, round(len(crowd.nodes) * part)))


SCENARIOS: dict[str, Callable[[CrowdPlan, Progress], Outcome]] = {
    "cold": cold,
    "killed": killed,
    "slow": slow,
    "disputed": disputed,
    "parted": parted,
    "controlled": controlled,
    "uncontrolled": uncontrolled,
    "unanswered": unanswered,
}
"""
The scenarios that are crowds, by name.
"""
