"""
How many of a thing were how large: a histogram that costs little to add to.
"""

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily


class Spread:
    """
    A histogram of one series, for a process in which only one thread counts.

    Args:
        name: Its name.
        text: What it means.
        bounds: The upper bounds of its buckets, ascending; one without a bound follows.

    Attributes:
        bounds: As given.
    """

    def __init__(self, name: str, text: str, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._name = name
        self._text = text
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """
        Count one.
        """
        self._counts[bisect_left(self.bounds, value)] += 1
        self._sum += value

    def add(self, counts: list[int], total: float) -> None:
        """
        Count many that somebody else has sorted by the same bounds.

        Args:
            counts: How many fell into each bucket.
            total: The sum of their values.
        """
        self._counts = [a + b for a, b in zip(self._counts, counts, strict=True)]
        self._sum += total

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """
        Give its samples as prometheus_client's own histograms do.
        """
        reached = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*self.bounds, None), self._counts, strict=True):
            reached += count
            buckets.append(("+Inf" if bound is None else str(bound), reached))
        family = HistogramMetricFamily(self._name, self._text)
        family.add_metric((), buckets, self._sum)
        yield family
