"""
How requests were answered, remembered for those who ask why.

What is noted on the way is kept small and is made readable only when it is asked for: a
request out of memory must not pay for what hardly anybody looks at.
"""

import attrs

MAX_STEPS = 12
"""
How many steps of a chunk's arrival are kept. Questions to homes go first, then what
brought nothing, the oldest of each: bytes are to be accounted for.
"""

MAX_CHUNKS = 2048
"""
How many chunks of one request are kept one by one; of the others only the sums are.
"""

MAX_ASKED = 8
"""
How many questions to the store are kept of one request.
"""

REQUEST_BYTES = 1024
CHUNK_BYTES = 352
STEP_BYTES = 384
"""
What one of each takes in memory at most, apart from the text of the request line.
"""

_MAX_TARGET = 2048


@attrs.define(eq=False)
class Intake:
    """
    What comes from one source for a chunk.

    Attributes:
        start: How many bytes of the chunk were there before.
        discarded: How many came in vain. It grows after the end of what was given up,
            while that which was on its way still comes in.
        kept: By how many the chunk grew.
    """

    start: int = 0
    discarded: int = 0
    kept: int = 0

    def came(self, size: int, *, kept: int) -> None:
        """
        A piece has come.

        Args:
            size: Its length.
            kept: By how much of it the chunk grew.
        """
        self.kept += kept
        self.discarded += max(0, size - kept)


@attrs.frozen
class Step:
    """
    Something that was tried to get a chunk.

    Attributes:
        what: ``home`` for a question to the chunk's home, ``peer`` or ``origin``.
        name: The node that was asked, if one was.
        outcome: ``done``, or in a word what came of it.
        why: Why it was tried, or what was said.
        bytes: How many bytes of the chunk it brought.
        seconds: How long it took.
        intake: What it brought in vain.
        began: When it was tried, in seconds since the epoch.
    """

    what: str
    name: str
    outcome: str
    why: str
    bytes: int
    seconds: float
    intake: Intake = attrs.field(factory=Intake)
    began: float = 0.0


class Arrival:
    """
    How a chunk came that no tier held.

    Attributes:
        queued: Seconds until there was room for it in memory.
        steps: What was tried, in order, at most :data:`MAX_STEPS` of it.
        left_out: How many steps were dropped.
        retries: How often it was begun anew, or somebody failed to give it.
    """

    __slots__ = ("left_out", "queued", "retries", "steps")

    def __init__(self) -> None:
        self.queued = 0.0
        self.steps: list[Step] = []
        self.left_out = 0
        self.retries = 0

    def note(self, step: Step) -> None:
        """
        Add what was tried.
        """
        self.retries += step.what != "home" and step.outcome != "done"
        if self.steps and step.what == self.steps[-1].what == "home":
            # Homes are asked again and again while there is nothing to do but wait.
            last = self.steps.pop()
            seconds = last.seconds + step.seconds
            step = attrs.evolve(step, seconds=seconds, began=last.began)
        if len(self.steps) == MAX_STEPS:
            self.steps.remove(min(self.steps, key=_weight))
            self.left_out += 1
        self.steps.append(step)


def _weight(step: Step) -> tuple[bool, bool]:
    return step.what != "home", step.bytes + step.intake.discarded > 0


class ChunkTrail:
    """
    How one chunk of an answer was got.

    Attributes:
        index: Which chunk of the object.
        bytes: How many of its bytes were sent.
        source: Where the last of them came from.
        joined: Whether it was arriving already when this request came to it.
        waited: Seconds for which the answer stood still for it.
        arrival: How it came, None when a tier held it.
        ended: When the last of it was handed over, in seconds since the epoch; 0 when
            that is not known.
    """

    __slots__ = ("arrival", "bytes", "ended", "index", "joined", "source", "waited")

    def __init__(
        self,
        index: int,
        size: int,
        source: str,
        *,
        joined: bool,
        waited: float,
        arrival: Arrival | None,
        ended: float = 0.0,
    ) -> None:
        self.ended = ended
        self.index = index
        self.bytes = size
        self.source = source
        self.joined = joined
        self.waited = waited
        self.arrival = arrival

    def again(self, ended: float) -> "ChunkTrail":
        """
        Tell of the same chunk, from what was in memory at another time.
        """
        values = (self.index, self.bytes, self.source)
        return ChunkTrail(*values, joined=False, waited=0.0, arrival=None, ended=ended)

    @property
    def size(self) -> int:
        """
        What it takes in memory, in bytes, at most.
        """
        steps = len(self.arrival.steps) if self.arrival else 0
        return CHUNK_BYTES + STEP_BYTES * steps


class RequestTrail:
    """
    How one request was answered.

    Attributes:
        request_id: What it is called.
        method: Its method.
        target: Its path and query, without the values of signatures.
        started: When its head had come, in seconds since the epoch.
        status: Of the answer, 0 before there is one.
        added: What the node added to the head of the answer.
        first: Seconds until the answer began.
        seconds: Seconds until it ended; -1 while it runs.
        sent: Body bytes handed over.
        error: What went wrong, empty when nothing did.
        asked: Questions to the store: the status of the answer, 0 for none, the seconds
            until its head was there, and what another node calls the request that
            answered in the store's place.
        chunks: The chunks of the answer.
        kept: What it counted for when it was put aside, in bytes.
        more: Bytes by source of the chunks that are not in chunks.
        chunks_left_out: How many those are.
        context: The client's ``traceparent`` and ``tracestate``; only where requests
            are traced.
    """

    __slots__ = (
        *("added", "asked", "chunks", "chunks_left_out", "error", "first", "method"),
        *("context", "kept", "more"),
        *("request_id", "seconds", "sent", "started", "status", "target"),
    )

    def __init__(
        self, request_id: str, method: bytes, target: bytes, started: float
    ) -> None:
        self.request_id = request_id
        self.method = method
        self.target = target if len(target) < _MAX_TARGET else target[:_MAX_TARGET]
        self.started = started
        self.status = 0
        self.added: tuple[tuple[bytes, bytes], ...] = ()
        self.first = self.seconds = -1.0
        self.sent = 0
        self.error = ""
        self.asked: list[tuple[int, float, str]] = []
        self.chunks: list[ChunkTrail] = []
        self.more: dict[str, int] | None = None
        self.chunks_left_out = self.kept = 0
        self.context: tuple[bytes, bytes] = (b"", b"")

    @property
    def cache(self) -> str:
        """
        What ``X-Cache`` said, in lower case; empty before it did.
        """
        for name, value in self.added:
            if name == b"X-Cache":
                return value.decode("latin-1").lower()
        return ""

    def ask(self, status: int, seconds: float, name: str = "") -> None:
        """
        The store was asked.
        """
        if len(self.asked) < MAX_ASKED:
            self.asked.append((status, seconds, name))

    def add(self, chunk: ChunkTrail) -> None:
        """
        A chunk was sent.
        """
        if len(self.chunks) < MAX_CHUNKS:
            self.chunks.append(chunk)
            return
        self.chunks_left_out += 1
        if self.more is None:
            self.more = {}
        self.more[chunk.source] = self.more.get(chunk.source, 0) + chunk.bytes

    @property
    def size(self) -> int:
        """
        What it takes in memory, in bytes, at most.
        """
        size = REQUEST_BYTES + len(self.target)
        for chunk in self.chunks:
            size += chunk.size if chunk.arrival else CHUNK_BYTES
        return size

    def like(self, request_id: str, started: float, seconds: float) -> "RequestTrail":
        """
        Tell of another request that was answered in the same way, from what was in
        memory and without the store.

        Args:
            request_id: What it is called.
            started: When its head had come, in seconds since the epoch.
            seconds: Seconds until it ended.
        """
        other = RequestTrail(request_id, self.method, self.target, started)
        other.status, other.added, other.sent = self.status, self.added, self.sent
        other.first = other.seconds = seconds
        other.chunks = [chunk.again(started + seconds) for chunk in self.chunks]
        other.kept, other.context = self.kept, self.context
        return other
