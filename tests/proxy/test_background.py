"""
Tests for :mod:`eliop2p.proxy.background`.
"""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.proxy.background import Job, Lane


class LaneTests(SynchronousTestCase):
    """
    One job after the other.
    """

    def setUp(self) -> None:
        """
        Make a lane that goes through 1000 bytes per second.
        """
        self.clock = Clock()
        self.lane = Lane("Testing", self.clock, rate=1000, limit=2)
        self.seen: list[str] = []

    def job(self, name: str, *lengths: int) -> Job:
        """
        Make a job that notes when it begins, goes on and ends.
        """

        async def run() -> None:
            self.seen.append(f"{name} begins")
            try:
                for length in lengths:
                    await self.lane.pace(length)
                    self.seen.append(f"{name} went through {length}")
            finally:
                self.seen.append(f"{name} ends")

        return run

    def test_order(self) -> None:
        """
        A job begins when those before it have ended.
        """
        self.lane.put(self.job("a", 500))
        self.lane.put(self.job("b"))
        self.assertEqual(self.seen, ["a begins"])
        self.clock.advance(0.5)
        self.assertEqual(
            self.seen,
            ["a begins", "a went through 500", "a ends", "b begins", "b ends"],
        )

    def test_pace(self) -> None:
        """
        No more bytes are gone through than the rate allows, however small the pieces.
        """
        self.lane.put(self.job("a", *[1] * 100))
        self.clock.pump([0.001] * 50)
        done = sum("went" in text for text in self.seen)
        self.assertTrue(40 <= done <= 55, done)
        self.clock.pump([0.001] * 60)
        self.assertEqual(self.seen[-1], "a ends")

    def test_without_rate(self) -> None:
        """
        Without a rate nothing waits.
        """
        self.lane = Lane("Testing", self.clock, rate=0, limit=2)
        self.lane.put(self.job("a", 10**9))
        self.assertEqual(self.seen[-1], "a ends")

    def test_turns(self) -> None:
        """
        Many jobs that wait for nothing are not all done in one turn of the reactor.
        """
        self.lane = Lane("Testing", self.clock, rate=0, limit=1000)
        begun: Deferred[None] = Deferred()

        async def begin() -> None:
            await begun

        self.lane.put(begin)
        for number in range(100):
            self.lane.put(self.job(f"{number}"))
        begun.callback(None)
        self.assertLess(len(self.seen), 100)
        self.clock.pump([0] * 10)
        self.assertEqual(self.seen[-1], "99 ends")

    def test_limit(self) -> None:
        """
        Jobs beyond the limit are refused, until others have ended.
        """
        self.assertTrue(self.lane.put(self.job("a", 500)))
        self.assertTrue(self.lane.put(self.job("b")))
        self.assertTrue(self.lane.put(self.job("c")))
        self.assertFalse(self.lane.put(self.job("d")))
        self.clock.advance(0.5)
        self.assertTrue(self.lane.put(self.job("e")))
        self.assertNotIn("d begins", self.seen)

    def test_failing_job(self) -> None:
        """
        A job that fails is logged and the next one is done.
        """

        async def fail() -> None:
            raise ValueError

        self.lane.put(self.job("a", 500))
        self.lane.put(fail)
        self.lane.put(self.job("b"))
        self.clock.advance(0.5)
        self.assertEqual(self.seen[-1], "b ends")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_stop_in_pause(self) -> None:
        """
        A job that pauses ends when the lane stops, those that wait never begin, and
        nothing is left scheduled.
        """
        self.lane.put(self.job("a", 500, 500))
        self.lane.put(self.job("b"))
        self.successResultOf(self.lane.stop())
        self.assertEqual(self.seen, ["a begins", "a ends"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.lane.put(self.job("c")))

    def test_stop_in_work(self) -> None:
        """
        Stopping waits for what cannot be interrupted.
        """
        work: Deferred[None] = Deferred()

        async def run() -> None:
            await work
            self.seen.append("worked")
            await self.lane.pace(1)
            self.seen.append("went on")

        self.lane.put(run)
        stopping = self.lane.stop()
        self.assertNoResult(stopping)
        work.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.seen, ["worked"])

    def test_stop_idle(self) -> None:
        """
        Without a job stopping takes no time.
        """
        self.successResultOf(self.lane.stop())
