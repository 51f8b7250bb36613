"""
Which of several peers to ask first.
"""

import random
from collections import OrderedDict
from collections.abc import Container, Sequence

import attrs

from eliop2p.model.choice import Candidate
from eliop2p.model.peer import PeerStanding
from eliop2p.p2p.policies import Policy
from eliop2p.wire.events import Holder

SMOOTHING = 0.3
"""
The part of a new measurement in a running average.
"""

FAILURE_HALF_LIFE = 30.0
"""
After how many seconds a failure counts half.
"""

FIRST_BAN = 60.0
LONGEST_BAN = 3600.0
"""
For how many seconds a peer that gave corrupt bytes is not asked; doubled each time.
"""

Order = tuple[tuple[Holder, str], ...]
"""
Peers in the order in which to ask them, with the reason of each.
"""

_NOMINAL = 1024 * 1024
_FLOOR = 0.01


@attrs.define(eq=False)
class _Score:
    """
    What is remembered of a peer.

    Attributes:
        rate: Bytes per second, 0 while unknown.
        latency: Seconds to the first byte, 0 while unknown.
        failures: Recent failures, as of failed_at.
        failed_at: When the last one was, in seconds.
        in_flight: Requests that it has not finished.
        offences: How often its bytes were corrupt.
        banned_until: Until when it is not asked.
    """

    rate: float = 0.0
    latency: float = 0.0
    failures: float = 0.0
    failed_at: float = 0.0
    in_flight: int = 0
    offences: int = 0
    banned_until: float = 0.0

    def cost(self, now: float) -> float:
        """
        Estimate the seconds until a MiB is here; an unknown peer is taken for a fast
        one, so that it gets known.
        """
        seconds = self.latency + (_NOMINAL / self.rate if self.rate else 0.0)
        return float(max(seconds, _FLOOR) * 8.0 ** self.recent_failures(now))

    def recent_failures(self, now: float) -> float:
        """
        Count failures, old ones for less.
        """
        age = max(0.0, now - self.failed_at)
        return float(self.failures * 0.5 ** (age / FAILURE_HALF_LIFE))


def _average(old: float, new: float) -> float:
    return new if not old else old + SMOOTHING * (new - old)


class PeerScores:
    """
    How the peers have done of late.

    Args:
        limit: How many peers are remembered; the longest unused go first.
    """

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._scores: OrderedDict[str, _Score] = OrderedDict()
        self._banned: dict[str, float] = {}

    def began(self, node_id: str) -> None:
        """
        A request was sent to the peer.
        """
        self._score(node_id).in_flight += 1

    def ended(self, node_id: str) -> None:
        """
        A request to the peer is over, however it ended.
        """
        score = self._score(node_id)
        score.in_flight = max(0, score.in_flight - 1)

    def answered(self, node_id: str, latency: float) -> None:
        """
        The first byte came.

        Args:
            node_id: The peer, which had the byte when it was asked.
            latency: Seconds from the request.
        """
        score = self._score(node_id)
        score.latency = _average(score.latency, latency)

    def delivered(self, node_id: str, size: int, seconds: float) -> None:
        """
        The peer gave what it was asked for, and had it when it was asked.

        Args:
            node_id: The peer.
            size: Bytes received.
            seconds: From the first byte to the last.
        """
        score = self._score(node_id)
        score.rate = _average(score.rate, size / max(seconds, 1e-4))
        score.failures /= 2

    def failed(self, node_id: str, now: float) -> None:
        """
        The peer refused, fell silent or broke off.
        """
        score = self._score(node_id)
        score.failures = min(score.recent_failures(now) + 1.0, 10.0)
        score.failed_at = now

    def corrupt(self, node_id: str, now: float) -> None:
        """
        The peer, and nobody else, gave bytes that do not match their digest.
        """
        score = self._score(node_id)
        ban = min(FIRST_BAN * 2.0 ** min(score.offences, 10), LONGEST_BAN)
        score.offences += 1
        score.banned_until = self._banned[node_id] = now + ban
        self.failed(node_id, now)

    def banned(self, now: float) -> tuple[str, ...]:
        """
        Name the peers that must not be asked.
        """
        if self._banned:
            self._banned = {
                node_id: until for node_id, until in self._banned.items() if until > now
            }
        return tuple(self._banned)

    def in_flight(self, node_id: str) -> int:
        """
        Count the requests that the peer has not finished.
        """
        score = self._scores.get(node_id)
        return 0 if score is None else score.in_flight

    def latency(self, node_id: str) -> float:
        """
        Tell how many seconds the peer's first byte took of late, 0 while unknown.
        """
        score = self._scores.get(node_id)
        return 0.0 if score is None else score.latency

    def suspect(self, node_id: str, now: float) -> bool:
        """
        Tell whether the peer failed a moment ago.
        """
        score = self._scores.get(node_id)
        return score is not None and score.recent_failures(now) > 0.5

    def standings(self, now: float) -> tuple[PeerStanding, ...]:
        """
        Tell how the peers have done, those asked last first.
        """
        return tuple(
            PeerStanding(
                node_id,
                score.rate,
                score.latency,
                score.recent_failures(now),
                score.in_flight,
                score.offences,
                max(0.0, score.banned_until - now),
            )
            for node_id, score in reversed(self._scores.items())
        )

    def forget(self, node_id: str) -> None:
        """
        The peer has left; a ban stays.
        """
        self._scores.pop(node_id, None)

    def cost(self, node_id: str, now: float) -> float:
        """
        Estimate for how many seconds the peer takes to give a MiB.
        """
        score = self._scores.get(node_id)
        return _FLOOR if score is None else score.cost(now)

    def _score(self, node_id: str) -> _Score:
        score = self._scores.get(node_id)
        if score is None:
            score = self._scores[node_id] = _Score()
            if len(self._scores) > self._limit:
                self._scores.popitem(last=False)
        else:
            self._scores.move_to_end(node_id)
        return score


def choose(
    holders: Sequence[Holder],
    scores: PeerScores,
    policy: Policy,
    rng: random.Random,
    *,
    k: int,
    now: float,
    rejected: Container[str] = (),
    near: Container[str] | None = None,
) -> Order:
    """
    Order the nodes that a home proposed, best first.

    Args:
        holders: What the home proposed.
        scores: What we know of them.
        policy: Says which is better.
        rng: Randomness.
        k: How many to give at most.
        now: In seconds.
        rejected: Nodes not to ask.
        near: The nodes near this one; all of them when not given.

    Returns:
        At most k of them with the reason of each, none twice.
    """
    banned = scores.banned(now)
    usable = {
        holder.node_id: holder
        for holder in holders
        if holder.node_id not in rejected and holder.node_id not in banned
    }
    choices = policy(
        [
            Candidate(
                name,
                holder.complete,
                scores.cost(name, now),
                scores.latency(name),
                scores.in_flight(name),
                near is None or name in near,
            )
            for name, holder in usable.items()
        ],
        rng,
    )
    return tuple((usable[each.node_id], each.why) for each in choices[:k])
