"""
In which order to ask the peers that a home proposed, by different ends.

All policies leave peers that did much worse than the best for last, and follow the home
in the rest: it knows who passed a chunk on least. But of two, the home's favourite and
another one, they take the one with fewer of this node's requests (the power of two
choices, Mitzenmacher 2001).
"""

import random
from collections.abc import Callable, Iterable, Sequence

from eliop2p.model.choice import Candidate, Choice

COMPARABLE = 4.0
"""
A peer is not asked before others that are this many times better.
"""

SCARCE = 2
"""
Up to how many holders of a chunk are spared by ``rarest``.
"""

Policy = Callable[[Sequence[Candidate], random.Random], tuple[Choice, ...]]


def fastest(candidates: Sequence[Candidate], rng: random.Random) -> tuple[Choice, ...]:
    """
    Ask those that gave the most of late, sharing out the load among equals.
    """
    good, poor = _split(candidates)
    return (*_in_turn(good, rng), *_poor(poor))


def nearest(candidates: Sequence[Candidate], rng: random.Random) -> tuple[Choice, ...]:
    """
    Ask those of this node's zone before all others, and of two with equal load the one
    that answers sooner.
    """
    good, poor = _split(candidates)
    choices: list[Choice] = []
    for near, where in ((True, ", in this zone"), (False, ", in another zone")):
        side = [each for each in good if each.near is near]
        choices += _in_turn(side, rng, _by_latency, where)
    return (*choices, *_poor(poor))


def rarest(candidates: Sequence[Candidate], rng: random.Random) -> tuple[Choice, ...]:
    """
    Leave nodes that are among the few holders of a chunk to those who have nobody else.

    A chunk that few hold is taken from those that receive it, so that its copies are
    made by as many nodes as possible. Which chunk comes next is not decided here: the
    reader of an object fetches chunks in an order of its own.
    """
    good, poor = _split(candidates)
    holders = [each for each in good if each.complete]
    if len(holders) > SCARCE:
        return (*_in_turn(good, rng), *_poor(poor))
    receivers = [each for each in good if not each.complete]
    spared = [
        Choice(each.node_id, f"{each.why}, and spared as one of few")
        for each in _in_turn(holders, rng)
    ]
    return (*_in_turn(receivers, rng), *spared, *_poor(poor))


def _split(
    candidates: Sequence[Candidate],
) -> tuple[list[Candidate], list[Candidate]]:
    bound = COMPARABLE * min((each.cost for each in candidates), default=0.0)
    good = [each for each in candidates if each.cost <= bound]
    poor = [each for each in candidates if each.cost > bound]
    return good, sorted(poor, key=lambda each: each.cost)


def _by_place(_: Candidate) -> float:
    return 0.0


def _by_latency(candidate: Candidate) -> float:
    return candidate.latency


def _in_turn(
    candidates: Iterable[Candidate],
    rng: random.Random,
    tie: Callable[[Candidate], float] = _by_place,
    where: str = "",
) -> Iterable[Choice]:
    left = list(candidates)
    while left:
        alone = len(left) == 1
        # The home's favourite first: of two equal ones it is taken.
        pair = (0,) if alone else (0, rng.randrange(1, len(left)))
        taken = min(pair, key=lambda at: (left[at].in_flight, tie(left[at])))
        chosen = left.pop(taken)
        what = "holds it" if chosen.complete else "was receiving it, and ahead"
        load = "" if alone else f", the better of two ({chosen.in_flight} asked of it)"
        yield Choice(chosen.node_id, f"{what}{load}{where}")


def _poor(candidates: Iterable[Candidate]) -> Iterable[Choice]:
    return [
        Choice(
            each.node_id,
            f"{'holds' if each.complete else 'was receiving'} it, but takes "
            f"{each.cost:.2g} s for a MiB, long or with failures",
        )
        for each in candidates
    ]
