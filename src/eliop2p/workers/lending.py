"""
What a node has lent to one of its worker processes: connections, and answers.
"""

from collections.abc import Callable, Iterable, Iterator

import attrs

from eliop2p.model.chunk import ChunkId, ObjectId
from eliop2p.model.trail import RequestTrail
from eliop2p.workers.board import ANSWERS, CONNECTIONS, Board, Note, Totals
from eliop2p.workers.lease import Lease
from eliop2p.workers.messages import Kind, Message

MAX_BYTES = 32 * 1024 * 1024
"""
The most memory for answers in one worker, in bytes.
"""

_NO_TOTALS = Totals(0, 0, 0.0, ())


@attrs.frozen
class Basis:
    """
    What an answer that was lent rests on.

    Attributes:
        record_id: The object.
        belief: What is believed of it.
        chunk_id: The chunk that the body is from.
        trail: How the request was answered that the answer is taken from.
    """

    record_id: ObjectId
    belief: bytes
    chunk_id: ChunkId
    trail: RequestTrail | None


@attrs.define(eq=False)
class _Lent:
    number: int
    place: int
    size: int
    raw: bytes
    basis: Basis
    used_before: int


@attrs.frozen
class Borrower:
    """
    Who is told of a connection that was lent.

    Attributes:
        back: It is back, with what has come on it.
        gone: The client is gone.
        broken: The worker is, and may have begun an answer.
        given: Tells how many bytes the connection was given since it was lent; negative
            when that is unknown.
    """

    back: Callable[[bytes], None]
    gone: Callable[[], None]
    broken: Callable[[], None]
    given: Callable[[], int]


@attrs.frozen
class Used:
    """
    What a worker has answered since that was asked last.

    Attributes:
        totals: In all, from the beginning.
        before: The same when it was asked last.
        bases: How often each of the answers was given.
        notes: The last ones, with what they were answers from; fewer than were given
            when there were many.
    """

    totals: Totals
    before: Totals
    bases: list[tuple[Basis, int]]
    notes: list[tuple[Basis, Note]]


class Lending:
    """
    Keeps account of what one worker has been lent.

    Args:
        board: What is shared with it.
        offer: Sends it a message with descriptors, if that is possible at once.
        send: Sends it a message.
    """

    def __init__(
        self,
        board: Board,
        offer: Callable[[Message, tuple[int, ...]], bool],
        send: Callable[[Message], None],
    ) -> None:
        self._board = board
        self._offer = offer
        self._send = send
        self._number = 0
        self._connections: dict[int, tuple[int, Borrower]] = {}
        self._free = list(range(CONNECTIONS))
        self._places = list(range(ANSWERS))
        self._leases: dict[int, _Lent] = {}
        self._by_raw: dict[bytes, _Lent] = {}
        self._by_record: dict[ObjectId, set[int]] = {}
        self._ended: dict[int, _Lent] = {}
        self._bytes = 0
        self._totals = _NO_TOTALS
        self._noted = 0

    @property
    def connections(self) -> int:
        """
        How many connections are lent.
        """
        return len(self._connections)

    @property
    def answered(self) -> int:
        """
        How many requests the worker has answered.
        """
        return self._board.totals().hits

    # --- connections

    def lend(self, client: int, borrower: Borrower) -> int | None:
        """
        Lend a connection.

        Args:
            client: The descriptor of the socket, which nobody else may read or write
                until it is back.
            borrower: Told of the end of that.

        Returns:
            What :meth:`recall` takes; None when the worker takes no more.
        """
        if not self._free:
            return None
        self._number += 1
        number, place = self._number, self._free[-1]
        if not self._offer(Message(Kind.LEND, number, place), (client,)):
            return None
        self._free.pop()
        self._connections[number] = place, borrower
        return number

    def recall(self, number: int) -> None:
        """
        Have the worker let go of a connection that is about to end.
        """
        if self._take_back(number) is not None:
            self._send(Message(Kind.RECALL, number))

    def back(self, number: int, data: bytes) -> None:
        """
        The worker has let go of a connection.
        """
        stale = self._by_raw.get(data)
        if stale is not None:
            # Its time is over, or else it would have been used.
            self._revoke_one(stale)
        borrower = self._take_back(number)
        if borrower is not None:
            borrower.back(data)

    def gone(self, number: int) -> None:
        """
        The client of a connection is gone.
        """
        borrower = self._take_back(number)
        if borrower is not None:
            borrower.gone()

    def died(self) -> None:
        """
        The worker is gone, and none of its system calls runs any more: connections on
        which it had begun nothing, or given all of an answer, are as they were.
        """
        for number, (place, borrower) in list(self._connections.items()):
            busy = self._board.busy[place]
            self._take_back(number)
            if not busy or (busy > 1 and borrower.given() == busy - 1):
                borrower.back(b"")
            else:
                borrower.broken()

    # --- answers

    def knows(self, raw: bytes) -> bool:
        """
        Tell whether the worker has the answer to a request.
        """
        return raw in self._by_raw

    def teach(self, lease: Lease, basis: Basis) -> None:
        """
        Lend an answer, if the worker takes more and does not know it.
        """
        if self.knows(lease.raw):
            return
        data = lease.encode()
        if self._bytes + len(data) > MAX_BYTES or not self._places:
            # What is asked for often is soon there again.
            self.revoke_all()
        if not self._places:
            # They are free once it has been read how often they were used.
            return
        self._number += 1
        number, place = self._number, self._places.pop()
        # Before the worker hears of it, which would take it for one that has ended.
        self._board.good[place] = number
        if not self._offer(Message(Kind.TEACH, number, place, data=data), ()):
            self._board.good[place] = 0
            self._places.append(place)
            return
        used = self._board.used[place]
        lent = _Lent(number, place, len(data), lease.raw, basis, used)
        self._leases[number] = self._by_raw[lease.raw] = lent
        self._by_record.setdefault(basis.record_id, set()).add(number)
        self._bytes += len(data)

    def revoke(self, record_id: ObjectId) -> None:
        """
        Let none of an object's answers be given from now on.
        """
        for number in self._by_record.pop(record_id, ()):
            self._end(self._leases[number])

    def revoke_all(self) -> None:
        """
        Let no answer be given from now on.
        """
        for record_id in list(self._by_record):
            self.revoke(record_id)

    def collect(self) -> Used:
        """
        Read what the worker has done since the last time.
        """
        before, self._totals = self._totals, self._board.totals()
        known = self._leases | self._ended
        notes = [
            (known[note.lease].basis, note)
            for note in self._board.notes(self._noted)
            if note.lease in known
        ]
        self._noted = self._board.noted()
        bases = list(self._count_bases(known.values()))
        # Whoever had begun to answer by them has long done so.
        self._places += [lent.place for lent in self._ended.values()]
        self._ended = {}
        return Used(self._totals, before, bases, notes)

    # --- inside

    def _count_bases(self, known: Iterable[_Lent]) -> Iterator[tuple[Basis, int]]:
        for lent in known:
            used = self._board.used[lent.place]
            if used != lent.used_before:
                yield lent.basis, used - lent.used_before
                lent.used_before = used

    def _take_back(self, number: int) -> Borrower | None:
        found = self._connections.pop(number, None)
        if found is None:
            return None
        place, borrower = found
        self._free.append(place)
        return borrower

    def _revoke_one(self, lent: _Lent) -> None:
        numbers = self._by_record[lent.basis.record_id]
        numbers.discard(lent.number)
        if not numbers:
            del self._by_record[lent.basis.record_id]
        self._end(lent)

    def _end(self, lent: _Lent) -> None:
        self._board.good[lent.place] = 0
        del self._leases[lent.number], self._by_raw[lent.raw]
        self._bytes -= lent.size
        self._ended[lent.number] = lent
        self._send(Message(Kind.FORGET, lent.number))
