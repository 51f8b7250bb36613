"""
Tests for what :mod:`eliop2p.p2p.speed` decides on: rates, and who is slow.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.speed import (
    LEAST_KNOWN,
    LONGEST_SPAN,
    MAX_SLOW,
    PIECES,
    SLOW_FOR,
    SPAN,
    Meter,
    SlowNodes,
    is_slower,
)


class MeterTests(SynchronousTestCase):
    """
    The rate of what comes.
    """

    def setUp(self) -> None:
        """
        Nothing has come.
        """
        self.clock = Clock()
        self.meter = Meter(self.clock)

    def come(self, size: int) -> None:
        """
        Let a span pass in which bytes come, in as many pieces as it takes.
        """
        for _ in range(PIECES - 1):
            self.meter.came(0)
        self.clock.advance(SPAN)
        self.meter.came(size)

    def test_rate(self) -> None:
        """
        The rate is that of the better of the last two spans, and unknown before one has
        passed.
        """
        self.meter.came(100)
        self.assertEqual(self.meter.rate, 0.0)
        for size, best in ((900, 1000), (500, 1000), (400, 500), (0, 400), (0, 0)):
            self.come(size)
            self.assertAlmostEqual(self.meter.rate, best / SPAN)

    def test_few_pieces(self) -> None:
        """
        While few pieces come, the rate is measured over a longer time.
        """
        for _ in range(round(LONGEST_SPAN / SPAN)):
            self.assertEqual(self.meter.rate, 0.0)
            self.clock.advance(SPAN)
            self.meter.came(1000)
        self.assertAlmostEqual(self.meter.rate, 1000 / SPAN)

    def test_idle(self) -> None:
        """
        Time in which nothing was on its way does not count.
        """
        self.come(1000)
        self.clock.advance(99.0)
        self.meter.restart()
        self.assertAlmostEqual(self.meter.rate, 1000 / SPAN)


class DecisionTests(SynchronousTestCase):
    """
    Who is slow.
    """

    def test_slower(self) -> None:
        """
        Slow is who has a third of the rate of half of the others, when some are known.
        """
        self.assertTrue(is_slower(10.0, (31.0, 31.0, 1.0)))
        self.assertFalse(is_slower(10.0, (29.0, 29.0, 99.0)))
        self.assertFalse(is_slower(10.0, (1e12, 29.0, 11.0)))
        self.assertFalse(is_slower(10.0, (100.0,) * (LEAST_KNOWN - 1)))
        self.assertFalse(is_slower(0.0, (100.0,) * LEAST_KNOWN))

    def test_slow_nodes(self) -> None:
        """
        What nodes say of themselves counts for a while, or until they say otherwise; of
        no more than so many.
        """
        clock = Clock()
        slow = SlowNodes(clock)
        slow.note("a", slow=True)
        slow.note("b", slow=True)
        slow.note("b", slow=False)
        self.assertEqual(("a" in slow, "b" in slow), (True, False))
        clock.advance(SLOW_FOR)
        self.assertNotIn("a", slow)
        for number in range(MAX_SLOW + 1):
            slow.note(f"n{number}", slow=True)
        self.assertEqual(len(slow), MAX_SLOW)
        self.assertNotIn("n0", slow)
