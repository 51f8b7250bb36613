"""
Small crowds that a seed gives sizes, links and several misfortunes, and the smallest
crowd in which the same still goes wrong.
"""

import random
from collections.abc import Callable, Iterator

import attrs
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from zope.interface import provider

from eliop2p.model.peer import Membership
from eliop2p.testing.crowd import Crowd, CrowdNode
from eliop2p.testing.crowd_parts import CrowdPlan
from eliop2p.testing.scenarios import Outcome, read_all

SETTLE = 180.0
"""
Seconds of simulated time after the last read in which all that was begun must end.
"""

Events = list[tuple[float, Callable[[], None]]]


@attrs.frozen
class Case:
    """
    What befalls a crowd.

    Attributes:
        plan: The crowd.
        misfortunes: Names of :data:`MISFORTUNES`.
    """

    plan: CrowdPlan
    misfortunes: tuple[str, ...] = ()


@attrs.frozen
class Verdict:
    """
    How a case came out.

    Attributes:
        outcome: What came of the reads.
        problems: What must not be; empty when all is well.
    """

    outcome: Outcome
    problems: tuple[str, ...]


def make_case(seed: int) -> Case:
    """
    Make a case up: half of them have more than one misfortune.
    """
    rng = random.Random(f"chaos {seed}")  # noqa: S311  # Simulated.
    plan = CrowdPlan(
        nodes=rng.randint(2, 9),
        chunks=rng.randint(1, 8),
        uplink=rng.choice((1e8, 1e9)),
        store_latency=rng.choice((0.001, 0.02, 0.5)),
        latency=rng.choice((0.0001, 0.005)),
        spread=rng.choice((0.0, 0.1, 2.0)),
        loss=rng.choice((0.0, 0.0, 0.01)),
        seed=seed,
    )
    count = rng.choice((0, 1, 1, 2, 2, 3))
    return Case(plan, tuple(rng.sample(sorted(MISFORTUNES), count)))


def run_case(case: Case) -> Verdict:
    """
    Let a crowd read through its misfortunes.
    """
    crowd = Crowd(case.plan)
    logged: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_level"] in (LogLevel.error, LogLevel.critical):
            logged.append(str(event.get("log_failure", event.get("log_format"))))

    rng = random.Random(f"misfortunes {case.plan.seed}")  # noqa: S311  # Simulated.
    globalLogPublisher.addObserver(observe)
    try:
        crowd.introduce()
        events: Events = []
        for name in case.misfortunes:
            events += MISFORTUNES[name](crowd, rng)
        outcome = read_all(crowd, tuple(events))
        crowd.network.fabric.join()
        crowd.pass_time(SETTLE)
    finally:
        globalLogPublisher.removeObserver(observe)
    problems = [f"logged: {text}" for text in logged]
    problems += _bad_outcome(case, outcome)
    for node in crowd.nodes:
        if node.host.is_alive:
            problems += _left_behind(node)
    return Verdict(outcome, tuple(problems))


def _bad_outcome(case: Case, outcome: Outcome) -> Iterator[str]:
    if outcome.wrong:
        yield f"{outcome.wrong} reads with a wrong byte"
    if outcome.hanging:
        yield f"{outcome.hanging} reads that hang"
    if outcome.failed and "corrupt" not in case.misfortunes:
        yield f"{outcome.failed} reads that failed"
    for peak in outcome.peaks:
        if peak.most > peak.bound:
            yield f"{peak.most} {peak.what}, more than {peak.bound}"


def _left_behind(node: CrowdNode) -> Iterator[str]:
    """
    Tell what a node still does, or keeps, for nobody.
    """
    left = {
        "bytes in flight": node.chunks.inflight,
        "uploads": node.swarm.requests.uploads,
        "pursuits": node.swarm.standings,
        "finds": node.swarm.waiting,
    }
    for what, count in left.items():
        if count:
            yield f"{node.me.node_id} is left with {count} {what}"


# --- what can go wrong


def _some(crowd: Crowd, rng: random.Random) -> list[CrowdNode]:
    return rng.sample(crowd.nodes, rng.randint(1, max(1, len(crowd.nodes) // 3)))


def _moment(crowd: Crowd, rng: random.Random) -> float:
    return rng.uniform(0.0, 2 * crowd.plan.bound + crowd.plan.spread)


def _killed(crowd: Crowd, rng: random.Random) -> Events:
    victims = _some(crowd, rng)[: len(crowd.nodes) - 1]
    return [
        (_moment(crowd, rng), lambda node=node: crowd.vanish(node))  # type: ignore[misc]
        for node in victims
    ]


def _gone(crowd: Crowd, rng: random.Random) -> Events:
    """
    Nodes' processes die: connections break, and others hear of it at some time.
    """
    events: Events = []
    for node in _some(crowd, rng)[: len(crowd.nodes) - 1]:
        moment = _moment(crowd, rng)
        events.append((moment, lambda node=node: crowd.network.kill(node.me.host)))  # type: ignore[misc]
        for other in crowd.nodes:
            if other is not node:
                tell = lambda node=node, other=other: _forget(other, node)  # noqa: E731
                events.append((moment + rng.uniform(0.0, 3.0), tell))
    return events


def _forget(node: CrowdNode, gone: CrowdNode) -> None:
    now = node.members.current()
    peers = {k: v for k, v in now.peers.items() if k != gone.me.node_id}
    node.members.update(Membership(now.version + 1, peers))


def _slow(crowd: Crowd, rng: random.Random) -> Events:
    plan = crowd.plan
    for node in _some(crowd, rng):
        part = rng.uniform(0.05, 0.3) / plan.scale
        up, down = plan.uplink * part, plan.downlink * part
        crowd.network.limit(node.me.host, uplink=up, downlink=down)
    return []


def _disputed(crowd: Crowd, rng: random.Random) -> Events:
    names = [node.me.node_id for node in crowd.nodes]
    for node in crowd.nodes:
        known = rng.sample(names, max(1, round(len(names) * 0.8)))
        peers = crowd.peers({*known, node.me.node_id})
        node.members.update(Membership(2, peers))
    return []


def _reordered(crowd: Crowd, rng: random.Random) -> Events:
    """
    Nodes hear of members late and in another order each, old news after new.
    """
    names = [node.me.node_id for node in crowd.nodes]
    events: Events = []
    for node in crowd.nodes:
        for _ in range(rng.randint(1, 6)):
            known = rng.sample(names, rng.randint(1, len(names)))
            view = Membership(rng.randint(1, 9), crowd.peers({*known, node.me.node_id}))
            update = lambda node=node, view=view: node.members.update(view)  # noqa: E731
            events.append((_moment(crowd, rng), update))
        whole = Membership(10, crowd.peers(set(names)))
        last = lambda node=node, whole=whole: node.members.update(whole)  # noqa: E731
        events.append((3 * crowd.plan.bound + 5.0, last))
    return events


def _parted(crowd: Crowd, rng: random.Random) -> Events:
    sides = {node.me.host: rng.randint(0, 1) for node in crowd.nodes}
    start, fabric = _moment(crowd, rng), crowd.network.fabric
    until = start + rng.choice((0.5, 5.0, 30.0))
    return [(start, lambda: fabric.split(sides)), (until, fabric.join)]


def _slow_disks(crowd: Crowd, rng: random.Random) -> Events:
    for node in _some(crowd, rng):
        node.given.delay = rng.choice((0.01, 0.3, 5.0))
    return []


def _corrupt(crowd: Crowd, rng: random.Random) -> Events:
    for node in _some(crowd, rng):
        node.given.spoils = True
    return []


MISFORTUNES: dict[str, Callable[[Crowd, random.Random], Events]] = {
    "corrupt": _corrupt,
    "disputed": _disputed,
    "gone": _gone,
    "killed": _killed,
    "parted": _parted,
    "reordered": _reordered,
    "slow": _slow,
    "slow disks": _slow_disks,
}
"""
What can befall a crowd, by name.
"""


# --- the smallest case


def smaller(case: Case) -> Iterator[Case]:
    """
    Name cases that are simpler by one thing, the simplest first.
    """
    for name in case.misfortunes:
        left = tuple(each for each in case.misfortunes if each != name)
        yield attrs.evolve(case, misfortunes=left)
    plan = case.plan
    simple = {"spread": 0.0, "loss": 0.0, "latency": 0.0001, "store_latency": 0.001}
    changes: list[dict[str, float]] = [
        {"nodes": max(2, plan.nodes // 2)},
        {"chunks": max(1, plan.chunks // 2)},
        {"nodes": max(2, plan.nodes - 1)},
        {"chunks": max(1, plan.chunks - 1)},
        *({name: value} for name, value in simple.items()),
    ]
    for change in changes:
        changed = attrs.evolve(plan, **change)  # type: ignore[arg-type]
        if changed != plan:
            yield attrs.evolve(case, plan=changed)


def shrink(case: Case, fails: Callable[[Case], bool], tries: int = 200) -> Case:
    """
    Make a case that fails as small as can be found.

    Args:
        case: It fails.
        fails: Tells whether another one does.
        tries: How many to try at most.

    Returns:
        A case that fails, none of whose simpler forms does unless the tries ran out.
    """
    left = tries
    while left:
        for simpler in smaller(case):
            left -= 1
            if fails(simpler):
                case = simpler
                break
            if not left:
                break
        else:
            break
    return case
