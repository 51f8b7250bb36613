"""
The rules of one connection between two nodes, without the connection.

Bytes go in and events come out; messages go in and bytes come out. Who may say what,
and when, is in three tables below. Both sides say Hello, then prove that they know the
cluster secret, the one that connected first; only then do requests and answers flow.
"""

import hmac
from collections.abc import Callable

from eliop2p.base.errors import LocalProtocolError, RemoteProtocolError
from eliop2p.model.chunk import Digest
from eliop2p.wire.cluster_events import Last
from eliop2p.wire.codec import (
    MAX_DATA,
    MAX_HELLO,
    encode,
    encode_data_header,
)
from eliop2p.wire.decoder import FrameDecoder
from eliop2p.wire.events import (
    MAJOR,
    MINOR,
    Cancel,
    Data,
    Done,
    Fail,
    Fault,
    Get,
    Goodbye,
    Hello,
    Message,
    Ping,
    Pong,
    Proof,
)
from eliop2p.wire.rules import (
    ACCEPTED,
    ANSWERS,
    Answer,
    Established,
    Event,
    Question,
    Reply,
    Request,
    Role,
    State,
)

MAX_INBOUND = 256
"""
The most open requests of the other side; further ones are answered with ``BUSY``.
"""

MAX_OUTBOUND = 1024
"""
The most open requests of our own, pings apart.
"""

_LAST_ID = 2**32 - 1


class ProofRefused(RemoteProtocolError):
    """
    The other side does not know the cluster secret.
    """


def prove(secret: bytes, role: Role, connecting: Hello, accepting: Hello) -> bytes:
    """
    Compute what shows that the side with this role knows the secret.

    The text covers all that both sides said: versions, length-prefixed node ids, and
    fresh nonces, so that nothing said before can be said again.

    Args:
        secret: The cluster secret.
        role: Whose proof it is; the two proofs of a connection differ.
        connecting: What the side that connected said.
        accepting: What the other said.

    Returns:
        32 bytes.
    """
    text = role.value + encode(connecting) + encode(accepting)
    return hmac.digest(secret, text, "sha256")


class Session:
    """
    One side of one connection.

    Answers pings, and requests over the limit, by itself: what it has to say is fetched
    with :meth:`data_to_send` after each :meth:`receive`.

    Args:
        role: Who opened the connection.
        node_id: Who we are.
        secret: The cluster secret.
        nonce: Gives 32 fresh random bytes.
        expected: Who the other side has to be; empty for anybody but ourselves.

    Attributes:
        peer_id: Who the other side says it is; empty before its hello.
    """

    def __init__(
        self,
        role: Role,
        node_id: str,
        secret: bytes,
        nonce: Callable[[], bytes],
        expected: str = "",
    ) -> None:
        self.peer_id = ""
        self._role = role
        self._secret = secret
        self._expected = expected
        self._hello = Hello(MAJOR, MINOR, node_id, nonce())
        self._proofs: dict[Role, bytes] = {}
        self._state = State.HELLO
        self._left = False
        self._decoder = FrameDecoder(limit=MAX_HELLO)
        self._output: list[bytes] = [encode(self._hello)]
        self._inbound: dict[int, type[Message]] = {}
        self._outbound: dict[int, type[Message]] = {}
        self._last_id = 0
        self._pongs = 0

    @property
    def established(self) -> bool:
        """
        Whether both sides have proved themselves and none has left.
        """
        return self._state is State.OPEN and not self._left

    @property
    def takes_inlined(self) -> bool:
        """
        Whether the other side knows answers with a chunk in them.
        """
        return self._decoder.peer_minor >= 1

    @property
    def takes_last(self) -> bool:
        """
        Whether the other side knows bytes of a chunk that end the answer.
        """
        return self._decoder.peer_minor >= 2

    @property
    def midway(self) -> bool:
        """
        Whether the other side has begun a message and not finished it.
        """
        return self._decoder.midway

    @property
    def asked(self) -> int:
        """
        The number of our own requests that are open.
        """
        return len(self._outbound)

    @property
    def full(self) -> bool:
        """
        Whether no further request may be sent at the moment.
        """
        return self.asked >= MAX_OUTBOUND

    def next_request_id(self) -> int:
        """
        Give a number that no open request of ours has.
        """
        while True:
            self._last_id = self._last_id % _LAST_ID + 1
            if self._last_id not in self._outbound:
                return self._last_id

    def data_to_send(self) -> bytes:
        """
        Give what the session itself has to say: at first its hello.
        """
        output, self._output = self._output, []
        return b"".join(output)

    # --- receiving -------------------------------------------------------------

    @property
    def awaited(self) -> tuple[int, int] | None:
        """
        The request whose bytes of a chunk come next, and how many of them, so that they
        can be put where they belong. None when that is anything else, or a breach of
        the rules: :meth:`receive` tells.
        """
        awaited = self._decoder.awaited
        if awaited is None or self._outbound.get(awaited[0]) is not Get:
            return None
        return awaited if self._state is State.OPEN else None

    def passed(self, size: int) -> Event | None:
        """
        Take note of bytes that were awaited and have been put where they belong.

        Returns:
            The end of the request, when they were the last ones.

        Raises:
            LocalProtocolError: They are more than were awaited.
        """
        done = self._decoder.passed(size)
        return None if done is None else self._accept_answer(done)

    def receive(self, data: bytes | memoryview) -> list[Event]:
        """
        Take what has arrived.

        Returns:
            What happened, in order.

        Raises:
            RemoteProtocolError: The other side broke the rules; the session is over.
        """
        events: list[Event] = []
        try:
            for message in self._decoder.feed(data):
                event = self._accept(message)
                if event is not None:
                    events.append(event)
        except RemoteProtocolError:
            self._state = State.BROKEN
            raise
        return events

    def _accept(self, message: Message) -> Event | None:
        kind = type(message)
        if isinstance(message, Last) or kind not in ACCEPTED[self._state]:
            raise RemoteProtocolError(f"{kind.__name__} {self._state.value}")
        if isinstance(message, Answer):
            return self._accept_answer(message)
        if isinstance(message, Request):
            return self._accept_request(message)
        match message:
            case Cancel():
                return message if message.request_id in self._inbound else None
            case Hello():
                return self._accept_hello(message)
            case Proof():
                return self._accept_proof(message)
            case Goodbye():
                self._state = State.LEFT
        return message

    def _accept_hello(self, hello: Hello) -> Event | None:
        if hello.major != MAJOR:
            raise RemoteProtocolError(
                f"the peer speaks protocol version {hello.major}.{hello.minor}, "
                f"this node {MAJOR}.{MINOR}"
            )
        if hello.node_id == self._hello.node_id:
            raise RemoteProtocolError(
                f"the peer calls itself {hello.node_id}, as we do"
            )
        if hello.nonce == self._hello.nonce:
            raise RemoteProtocolError("the peer mirrors our nonce")
        if self._expected and hello.node_id != self._expected:
            raise RemoteProtocolError(f"{hello.node_id} is not {self._expected}")
        self.peer_id = hello.node_id
        self._decoder.peer_minor = hello.minor
        ours_first = self._role is Role.CONNECTING
        both = (self._hello, hello) if ours_first else (hello, self._hello)
        self._proofs = {role: prove(self._secret, role, *both) for role in Role}
        self._state = State.PROOF
        if ours_first:
            self._reply(Proof(self._proofs[self._role]))
        return None

    def _accept_proof(self, proof: Proof) -> Established:
        ours_first = self._role is Role.CONNECTING
        theirs = Role.ACCEPTING if ours_first else Role.CONNECTING
        if not hmac.compare_digest(proof.mac, self._proofs[theirs]):
            raise ProofRefused(f"{self.peer_id} does not know the cluster secret")
        if not ours_first:
            self._reply(Proof(self._proofs[self._role]))
        self._state = State.OPEN
        self._decoder.limit = MAX_DATA
        return Established(self.peer_id)

    def _accept_request(self, request: Request) -> Event | None:
        if request.request_id in self._inbound:
            raise RemoteProtocolError(f"request {request.request_id} is open already")
        if isinstance(request, Ping):
            self._pongs += 1
            self._reply(Pong(request.request_id))
        elif len(self._inbound) >= MAX_INBOUND:
            self._reply(Fail(request.request_id, Fault.BUSY))
        else:
            self._inbound[request.request_id] = type(request)
            return request
        return None

    def take_pongs(self) -> int:
        """
        Tell how many signs of life were given since this was asked last.
        """
        pongs, self._pongs = self._pongs, 0
        return pongs

    def _reply(self, message: Message) -> None:
        if not self._left:
            self._output.append(encode(message))

    def _accept_answer(self, answer: Answer) -> Event:
        kind = type(answer)
        asked = self._outbound.get(answer.request_id)
        if asked is None or kind not in ANSWERS[asked]:
            raise RemoteProtocolError(
                f"{kind.__name__} answers request {answer.request_id}, which is "
                f"{asked.__name__ if asked else 'not open'}"
            )
        if kind is not Data:
            del self._outbound[answer.request_id]
        return answer

    # --- sending ---------------------------------------------------------------

    def send(self, message: Message) -> bytes:
        """
        Write a message.

        Returns:
            The bytes; none for the cancellation of a request that has just ended.

        Raises:
            LocalProtocolError: It must not be sent now.
        """
        kind = type(message)
        if not self.established or kind in {Hello, Proof}:
            raise LocalProtocolError(f"{kind.__name__} cannot be sent now")
        data = encode(message)
        match message:
            case _ if isinstance(message, Question | Get | Ping):
                self._note_request(message)
            case _ if isinstance(message, Reply | Done | Fail):
                self._check_answer(message.request_id, kind)
                del self._inbound[message.request_id]
            case Cancel() if message.request_id not in self._outbound:
                return b""
            case Pong():
                raise LocalProtocolError("the session itself answers pings")
            case Goodbye():
                self._left = True
        return data

    def send_data(
        self, request_id: int, length: int, digest: Digest | None = None
    ) -> bytes:
        """
        Write what goes before some bytes of a chunk.

        Args:
            request_id: Of the request.
            length: How many bytes follow.
            digest: Of the chunk, when they end the answer: see :attr:`takes_last`.

        Raises:
            LocalProtocolError: They must not be sent now.
        """
        if not self.established or (digest is not None and not self.takes_last):
            raise LocalProtocolError("Data cannot be sent now")
        self._check_answer(request_id, Data)
        if digest is not None:
            del self._inbound[request_id]
        return encode_data_header(request_id, length, digest)

    def _note_request(self, request: Request) -> None:
        if request.request_id in self._outbound:
            raise LocalProtocolError(f"request {request.request_id} is open already")
        if self.full and not isinstance(request, Ping):
            raise LocalProtocolError(f"{MAX_OUTBOUND} requests are open already")
        self._outbound[request.request_id] = type(request)

    def _check_answer(self, request_id: int, kind: type[Message]) -> None:
        asked = self._inbound.get(request_id)
        if asked is None or kind not in ANSWERS[asked]:
            raise LocalProtocolError(
                f"{kind.__name__} does not answer request {request_id}"
            )
