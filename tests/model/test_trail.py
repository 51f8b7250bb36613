"""
Tests for :mod:`eliop2p.model.trail`.
"""

import gc
import tracemalloc

from twisted.trial.unittest import SynchronousTestCase

from eliop2p.model.trail import (
    MAX_ASKED,
    MAX_CHUNKS,
    MAX_STEPS,
    Arrival,
    ChunkTrail,
    RequestTrail,
    Step,
)
from eliop2p.model.trails import Trails

MIB = 1024 * 1024


def step(number: int, what: str = "peer") -> Step:
    """
    Make a step that shares no text with others.
    """
    return Step(what, f"gpu-{number}", f"failed {number}", "holds it", number, 0.5)


def chunk(index: int, steps: int) -> ChunkTrail:
    """
    Make a chunk that came in so many steps.
    """
    arrival = Arrival()
    for number in range(steps):
        arrival.note(step(1000 * index + number))
    return ChunkTrail(
        index,
        1000 + index,
        "peer",
        joined=False,
        waited=index / 7,
        arrival=arrival if steps else None,
    )


def trail(number: int, chunks: int = 0, steps: int = 0) -> RequestTrail:
    """
    Make a request's trail.
    """
    made = RequestTrail(f"id{number}", b"GET", b"/b/%d" % number, number / 3)
    for index in range(chunks):
        made.add(chunk(index, steps))
    return made


class ArrivalTests(SynchronousTestCase):
    """
    What is noted of a chunk.
    """

    def test_last_steps(self) -> None:
        """
        The last steps are kept, and how many are not.
        """
        arrival = Arrival()
        made = [step(number + 1) for number in range(MAX_STEPS + 3)]
        for each in made:
            arrival.note(each)
        self.assertEqual(arrival.left_out, 3)
        self.assertEqual(arrival.steps, made[3:])
        self.assertEqual(arrival.retries, MAX_STEPS + 3)

    def test_bytes_are_kept(self) -> None:
        """
        Questions to homes are dropped first, then what brought nothing at all, so that
        bytes stay accounted for, those in vain as well.
        """
        arrival = Arrival()
        gave, cut, busy = step(7), step(0), step(0)
        cut.intake.came(100, kept=40)
        for each in (gave, cut, busy):
            arrival.note(each)
        for number in range(MAX_STEPS):
            arrival.note(step(1 + number, "peer" if number % 2 else "home"))
        self.assertEqual(arrival.left_out, 3)
        self.assertEqual(arrival.steps[:3], [gave, cut, busy])
        for number in range(4):
            arrival.note(step(1 + number))
        self.assertEqual(arrival.steps[:2], [gave, cut])
        self.assertNotIn(busy, arrival.steps)
        self.assertEqual(cut.intake.discarded, 60)

    def test_waiting_is_one_step(self) -> None:
        """
        A home that is asked again and again makes one step, as long as all of them.
        """
        arrival = Arrival()
        for number in range(20):
            arrival.note(step(number, "home"))
        self.assertEqual(len(arrival.steps), 1)
        self.assertEqual(arrival.steps[0].seconds, 10.0)
        self.assertEqual(arrival.retries, 0)


class RequestTests(SynchronousTestCase):
    """
    What is noted of a request.
    """

    def test_many_chunks(self) -> None:
        """
        Beyond a number of chunks only the sums are kept.
        """
        made = trail(1, MAX_CHUNKS + 2)
        self.assertEqual(len(made.chunks), MAX_CHUNKS)
        self.assertEqual(made.chunks_left_out, 2)
        self.assertEqual(made.more, {"peer": 2 * (1000 + MAX_CHUNKS) + 1})

    def test_many_questions(self) -> None:
        """
        Only the first questions to the store are kept.
        """
        made = trail(1)
        for number in range(MAX_ASKED + 5):
            made.ask(number, 0.1)
        self.assertEqual([status for status, *_ in made.asked], [*range(MAX_ASKED)])


class TrailsTests(SynchronousTestCase):
    """
    What is kept of all of them.
    """

    def test_found_while_running_and_after(self) -> None:
        """
        A request is found from its head on, until newer ones have taken its place.
        """
        trails = Trails(2, MIB)
        made = [trail(number) for number in range(3)]
        for each in made:
            trails.begin(each)
            self.assertIs(trails.get(each.request_id), each)
            trails.end(each)
        self.assertIsNone(trails.get("id0"))
        self.assertIs(trails.get("id1"), made[1])
        self.assertIsNone(trails.get("id9"))

    def test_recent(self) -> None:
        """
        Those that run come first, then those that ended last.
        """
        trails = Trails(10, MIB)
        for number in range(4):
            trails.begin(trail(number))
        for number in (2, 1):
            found = trails.get(f"id{number}")
            assert found is not None
            trails.end(found)
        names = [each.request_id for each in trails.recent(10)]
        self.assertEqual(names, ["id3", "id0", "id1", "id2"])
        self.assertEqual(len(trails.recent(3)), 3)

    def test_size(self) -> None:
        """
        What is kept never takes more than it may, by its own account.
        """
        trails = Trails(1000, 100_000)
        for number in range(50):
            made = trail(number, number % 40, 2)
            trails.begin(made)
            trails.end(made)
            self.assertLessEqual(trails.used, 100_000)
        self.assertGreater(len(trails), 0)

    def test_account(self) -> None:
        """
        The account is not below what the memory really takes, for small and large
        requests alike.
        """
        for count, chunks, steps in ((2000, 1, 0), (300, 10, 3), (3, 1500, 12)):
            gc.collect()
            tracemalloc.start()
            try:
                trails = Trails(10_000, 1 << 40)
                for number in range(count):
                    made = trail(number, chunks, steps)
                    made.ask(304, 0.001 * number)
                    made.added = (
                        (b"X-Cache", b"HIT %d" % number),
                        (b"X-Elio-Source", b"x" * 40),
                    )
                    made.first, made.seconds = number / 11, number / 13
                    trails.begin(made)
                    trails.end(made)
                real, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertGreaterEqual(trails.used, real)
            self.assertLess(trails.used, 4 * real)
