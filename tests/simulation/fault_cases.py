"""
Generated cases of a store that fails, lies and breaks off, and how they end.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from eliop2p.proxy import objects
from eliop2p.testing.cluster import Cluster, Member, Plan
from eliop2p.testing.simclient import Answer
from eliop2p.testing.simfaults import NO_FAULT, Fault
from tests.simulation.cases import STREAMED_CHUNKS, Request, always, ask, made_up

SMALL = 8 * 1024
WINDOW = 4 * 1024

TIMEOUTS = (3, 5, 30)
"""
Seconds without a byte after which nodes may give up an answer of the store: the
default, and less, in which much less happens beside the reads.
"""

IDLE = 30
"""
Seconds after which nodes close a connection to the store that they do not use.
"""

FAULTS = {
    "truncated": Fault(truncate=5000),
    "truncated at once": Fault(truncate=0),
    "padded": Fault(pad=100),
    "less than its length": Fault(announce=50),
    "more than its length": Fault(announce=-50),
    "too long a part": Fault(longer=100),
    "Range ignored": Fault(ignore_range=True),
    "conditions ignored": Fault(ignore_conditions=True),
    "a part unasked": Fault(unasked=1000),
    "another range": Fault(shift=1),
    "a range that is not sent": Fault(move=1),
    "another size": Fault(total=1),
    "another ETag": Fault(etag=b'"other"'),
    "a weak ETag": Fault(etag=b'W/"weak"'),
    "no ETag": Fault(drop=frozenset((b"etag",))),
    "no ETag, conditions ignored": Fault(
        drop=frozenset((b"etag",)), ignore_conditions=True
    ),
    "no Content-Range": Fault(drop=frozenset((b"content-range",))),
    "several parts": Fault(
        drop=frozenset((b"content-range", b"content-type")),
        add=((b"Content-Type", b"multipart/byteranges; boundary=x"),),
    ),
    "chunked": Fault(chunked=True),
    "chunked, truncated": Fault(chunked=True, truncate=3000),
    "chunked, reset": Fault(chunked=True, reset=3000),
    "no length": Fault(until_close=True),
    "two lengths": Fault(add=((b"Content-Length", b"17"),)),
    "a length and chunks": Fault(add=((b"Transfer-Encoding", b"chunked"),)),
    "a length that is none": Fault(
        drop=frozenset((b"content-length",)), add=((b"Content-Length", b"-5"),)
    ),
    "compressed on the way": Fault(
        chunked=True,
        drop=frozenset((b"etag",)),
        add=((b"Content-Encoding", b"gzip"), (b"Vary", b"Accept-Encoding")),
    ),
    "early hints": Fault(interims=3),
    "a flood of hints": Fault(interims=2000),
    "no HTTP": Fault(raw=b"\x15\x03\x01\x00\x02\x02\x28"),
    "no HTTP, with line ends": Fault(raw=b"ICY 200 OK\r\n\r\nmusic"),
    "half a head": Fault(raw=b"HTTP/1.1 200 OK\r\nContent-Len"),
    "an endless head": Fault(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000),
    "reset": Fault(reset=6000),
    "reset at once": Fault(reset=0),
    "stalled": Fault(stall=3000),
    "stalled at once": Fault(stall=0),
    "error 500": Fault(status=500),
    "error 503": Fault(status=503),
    "error 200": Fault(status=200),
    "error 206": Fault(status=206),
    "no content": Fault(status=204),
    "redirected": Fault(status=307),
    "not modified": Fault(status=304),
    "not allowed": Fault(status=403),
    "no such range": Fault(status=416),
    "gone": Fault(status=404),
    "precondition failed": Fault(status=412),
}


def any_fault(rng: random.Random) -> tuple[str, Fault]:
    """
    Choose something that goes wrong, and when in the answer.
    """
    name, fault = rng.choice(tuple(FAULTS.items()))
    moment = rng.choice((0, 1, rng.randrange(SMALL), rng.randrange(12 * SMALL)))
    later: dict[str, Callable[[], Fault]] = {
        "truncated": lambda: attrs.evolve(fault, truncate=moment),
        "reset": lambda: attrs.evolve(fault, reset=moment),
        "stalled": lambda: attrs.evolve(fault, stall=moment),
    }
    how = rng.choice(("", "", *later))
    # That the end of a connection was not the end of a body nobody can tell.
    if not how or fault.until_close:
        return name, fault
    return f"{name}, {how} later", later[how]()


def any_request(
    rng: random.Random, cluster: Cluster, path: bytes, size: int
) -> Request:
    """
    Choose a read.
    """
    first = rng.randrange(size)
    last = rng.randrange(first, size)
    value = rng.choice((b"", b"", b"bytes=%d-%d" % (first, last), b"bytes=%d-" % first))
    signed = bool(value) and rng.random() < 0.5
    return Request(rng.choice(cluster.members), path, value, signed)


@attrs.define
class Tally:
    """
    How answers came out.

    Attributes:
        faults: Answers of the store that were wrong, by what was.
        answers: Answers of nodes while the store was wrong, by what they were.
        recovered: Right answers after it.
        broken: Answers after it that broke off, once.
        wrong: What must not be.
    """

    faults: Counter[str] = attrs.field(factory=Counter)
    answers: Counter[str] = attrs.field(factory=Counter)
    recovered: int = 0
    broken: int = 0
    wrong: list[str] = attrs.field(factory=list)


def verdict(cluster: Cluster, request: Request, answer: Answer, data: bytes) -> str:
    """
    Say what an answer is: right, an error, broken off, or the very words of the store,
    which is all that a client without a node would have got.

    Returns:
        One of these, or "wrong".
    """
    if request.has_right_bytes(answer, data):
        return "right"
    if not answer.complete:
        return "broken off"
    if answer.status not in (200, 206):
        return "an error"
    # A whole object that ends too early, in an answer that says so of its length: it is
    # believed, and may be given again, until its checksum is known to be another.
    for asked in cluster.store.log:
        short = data[: len(data) + min(asked.fault.announce, 0)]
        if asked.status == 200 and request.has_right_bytes(answer, short):
            return "the store's words"
    asked = cluster.store.log[int(answer.header(b"x-amz-request-id"))]
    said = asked.payload
    if asked.fault.announce:
        said = said[: max(len(said) + asked.fault.announce, 0)]
    same = (answer.status, answer.body) == (asked.status, said)
    return "the store's words" if same and asked.fault != NO_FAULT else "wrong"


@attrs.define
class Faulty:
    """
    Reads through a cluster whose store is wrong, and after that.

    Attributes:
        cluster: The cluster.
        seed: What to name in accusations.
        timeout: Seconds without a byte after which nodes give up an answer.
        tally: Counts.
    """

    cluster: Cluster
    seed: int
    timeout: int = 30
    tally: Tally = attrs.field(factory=Tally)

    def read(self, requests: list[Request], data: bytes) -> None:
        """
        Read, and judge what came.
        """
        for request, answer in ask(self.cluster, requests):
            said = verdict(self.cluster, request, answer, data)
            self.tally.answers[said] += 1
            if said == "wrong":
                self._accuse("meanwhile", request, answer)

    def recover(self, path: bytes, data: bytes, members: list[Member]) -> None:
        """
        Demand that everything is right once the store is. What contradicts a lie that
        was believed may break off a read, once: clients try again.
        """
        self.cluster.store.choose = always(NO_FAULT)
        # What it said last of its objects may have been a lie, and answers may be under
        # way that will never come.
        self.cluster.pass_time(self.timeout + 1.0)
        if self.timeout < IDLE:
            # It may have fallen silent on connections that nodes still think well of.
            self.cluster.stop_store()
            self.cluster.start_store()
        self.tally.wrong += [
            f"seed {self.seed}: {member.name} still fetches chunks for nobody"
            for member in self.cluster.members
            if member.running.chunks.inflight
        ]
        ranges = (b"", b"bytes=%d-" % (len(data) // 2), b"bytes=0-99", b"bytes=-100")
        for value in ranges:
            requests = [Request(member, path, value) for member in members]
            answers = ask(self.cluster, requests)
            again = [request for request, answer in answers if not answer.complete]
            self.tally.broken += len(again)
            answers = [pair for pair in answers if pair[1].complete]
            for request, answer in answers + ask(self.cluster, again):
                if request.is_right(answer, data):
                    self.tally.recovered += 1
                else:
                    self._accuse("afterwards", request, answer)

    def _accuse(self, when: str, request: Request, answer: Answer) -> None:
        self.tally.wrong.append(
            f"seed {self.seed}, {when}, {request.member.name}: {request.path!r} "
            f"{request.range!r} gave {answer.head} and {len(answer.body)} bytes, "
            f"{'whole' if answer.complete else 'broken off'}"
        )


class FaultCases:
    """
    Cases on one cluster, each with an object of its own.

    Args:
        directory: Where nodes keep what they keep; made.
        seed: Decides everything.
    """

    def __init__(self, directory: Path, seed: int) -> None:
        self._rng = random.Random(seed)
        directory.mkdir()
        nodes, timeout = self._rng.randint(1, 4), self._rng.choice(TIMEOUTS)
        flags = {"storage.read_timeout_sec": str(timeout)}
        plan = Plan(
            nodes=nodes, seed=seed, chunk_size=SMALL, window=WINDOW, flags=flags
        )
        self.cluster = Cluster(directory, plan)
        self.cluster.start()
        self._faulty = Faulty(self.cluster, seed, timeout)
        self.tally = self._faulty.tally

    def run(self, number: int) -> None:
        """
        Run one case: reads of a cold or warm object from a store that is wrong now
        and then, and reads of it after that.
        """
        rng, store = self._rng, self.cluster.store
        path = b"/bucket/%d" % number
        size = rng.choice((rng.randint(1, 3 * SMALL), rng.randint(1, 30 * SMALL)))
        data = made_up(f"{self._faulty.seed} {number}", size)
        store.put(path, data)
        if rng.random() < 0.3:
            warm = Request(rng.choice(self.cluster.members), path)
            self._faulty.read([warm], data)
        often = rng.choice((0.1, 0.3, 0.6, 1.0))
        store.choose = lambda _: self._choose(often)
        for _ in range(rng.randint(1, 3)):
            count = rng.randint(1, 4)
            self._faulty.read(
                [any_request(rng, self.cluster, path, size) for _ in range(count)], data
            )
        self._faulty.recover(path, data, self.cluster.members)
        store.log.clear()

    def _choose(self, often: float) -> Fault:
        if self._rng.random() >= often:
            return NO_FAULT
        name, fault = any_fault(self._rng)
        self.tally.faults[name] += 1
        return fault


@contextmanager
def small_streams() -> Iterator[None]:
    """
    Let what is large, and read from the store in many answers, be small.
    """
    before = objects.STREAMED_BYTES
    objects.STREAMED_BYTES = STREAMED_CHUNKS * SMALL
    try:
        yield
    finally:
        objects.STREAMED_BYTES = before
