"""
Tests for :mod:`eliop2p.p2p.patience`.
"""

import math
import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.p2p.pace import MOST_PATIENCE, QUIET, quiet
from eliop2p.p2p.patience import (
    FIRST_PAUSE,
    LAST_RESORT_AFTER,
    LATE_HOME_AFTER,
    LONGEST_PAUSE,
    OTHER_HOME_AFTER,
    PATIENCE,
    WAIT_PAUSE,
    Patience,
    patience_with_all,
    patience_with_home,
)
from eliop2p.wire.events import Verdict


class HomeTests(SynchronousTestCase):
    """
    How long a home is waited for.
    """

    def test_failed(self) -> None:
        """
        A home that was late a moment ago is waited for less long than another.
        """
        self.assertEqual(patience_with_home(0.0, failed=False), OTHER_HOME_AFTER)
        self.assertEqual(patience_with_home(0.0, failed=True), LATE_HOME_AFTER)

    def test_own_link_is_busy(self) -> None:
        """
        No home is blamed for what is on its way to this node, up to a bound.
        """
        for failed in (False, True):
            self.assertEqual(patience_with_home(3.0, failed=failed), 3.0)
            self.assertEqual(patience_with_home(99.0, failed=failed), MOST_PATIENCE)

    def test_unknown_link(self) -> None:
        """
        Before anything has come a home is waited for as long as any.
        """
        for failed in (False, True):
            seconds = patience_with_home(math.inf, failed=failed)
            self.assertEqual(seconds, OTHER_HOME_AFTER)


class AllTests(SynchronousTestCase):
    """
    How long a chunk is waited for.
    """

    def test_store(self) -> None:
        """
        A store that keeps everybody waiting is not read without a lease before three
        times as long, nor later than a chunk is given up.
        """
        self.assertEqual(patience_with_all(0.1, can_read=True), LAST_RESORT_AFTER)
        self.assertEqual(patience_with_all(12.0, can_read=True), 36.0)
        self.assertEqual(patience_with_all(99.0, can_read=True), PATIENCE)

    def test_no_right(self) -> None:
        """
        Who cannot read it waits until the chunk is given up.
        """
        self.assertEqual(patience_with_all(0.1, can_read=False), PATIENCE)


class PauseTests(SynchronousTestCase):
    """
    When a home is asked again.
    """

    def pauses(self, verdict: Verdict) -> list[float]:
        """
        Let a home give nothing of use five times.
        """
        patience = Patience(Clock(), random.Random(1), 0)
        return [patience.pause(verdict) for _ in range(5)]

    def test_longer(self) -> None:
        """
        It is asked less and less often, and at first less often where it knows nobody.
        """
        cases = ((Verdict.HOLDERS, FIRST_PAUSE), (Verdict.WAIT, WAIT_PAUSE))
        for verdict, least in cases:
            for number, pause in enumerate(self.pauses(verdict)):
                most = min(least * 2**number, LONGEST_PAUSE)
                self.assertTrue(most / 2 <= pause <= most)


class QuietTests(SynchronousTestCase):
    """
    When a silent peer is asked for a sign of life.
    """

    def test_slow_link(self) -> None:
        """
        A node to which chunks come slowly asks later than others.
        """
        self.assertEqual(quiet(0.0), QUIET)
        self.assertEqual(quiet(4 * QUIET), QUIET)
        self.assertEqual(quiet(8.0), 2.0)
