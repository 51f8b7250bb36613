"""
The exception tree: each class names a decision that the caller can make.
"""

import attrs


class ElioError(Exception):
    """
    Whatever this package raises on purpose.
    """


@attrs.frozen
class ConfigProblem:
    """
    One thing that is wrong with a configuration, and its remedy.

    Attributes:
        where: ``[section] key``, or the environment variable or flag it came from.
        value: What was given, already redacted when it is a secret.
        reason: What is wrong with it and what would be right.
    """

    where: str
    value: str
    reason: str

    def __str__(self) -> str:
        shown = f" = {self.value!r}" if self.value else ""
        return f"{self.where}{shown}: {self.reason}"


class ConfigError(ElioError):
    """
    The configuration cannot be used; carries every problem, not only the first.

    Attributes:
        problems: All that was found, in file order.
    """

    def __init__(self, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class StartError(ElioError):
    """
    The node cannot start: a port is taken or a directory is unusable. The text is
    one line that names the setting to change.
    """


class LocalProtocolError(ElioError):
    """
    Our own code broke the rules of a protocol: a bug.
    """


class RemoteProtocolError(ElioError):
    """
    The other side broke the rules of a protocol: drop the connection.
    """


class BadRequest(RemoteProtocolError):
    """
    A client's request cannot be understood.

    Attributes:
        status: The HTTP status that tells the client so.
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class ForbiddenTarget(ElioError):
    """
    A client asked for a host that this node does not connect to.

    Attributes:
        why: What forbids it: ``off`` when the node is no forward proxy, ``host`` when
            that is not a store of the node, ``address`` when its name leads to an
            internal address.
    """

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


class Busy(ElioError):
    """
    The node has no room for what a client asks; worth another try later.
    """


class OriginError(ElioError):
    """
    The store could not answer, or its answer cannot be used.
    """


class OriginUnavailable(OriginError):
    """
    No answer from the store: refused, timed out, reset. Worth another try later.
    """


class OriginRefused(OriginError):
    """
    The store answered, and not with the bytes that were asked for.

    Attributes:
        status: The store's HTTP status.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the store answered {status}: {reason}")
        self.status = status


class WrongAnswer(OriginError):
    """
    The store's answer contradicts itself or the request: short, long, another ETag,
    200 to a ranged request. Nothing of it may be kept.
    """


class ChunkUnavailable(ElioError):
    """
    Neither a tier, nor a peer, nor the store could give the chunk.
    """


class PeerError(ElioError):
    """
    A peer did not give what it was asked for: ask another.
    """


class PeerBusy(PeerError):
    """
    The peer has no free upload slot.
    """


class PeerMissing(PeerError):
    """
    The peer does not have the chunk, or is not ahead of us in receiving it.
    """


class PeerBehind(PeerMissing):
    """
    The chunk is arriving at the peer, but not ahead of us.
    """


class PeerSlow(PeerError):
    """
    The peer takes much longer than others do.
    """


class PeerUnreachable(PeerError):
    """
    The connection to the peer is gone or cannot be made.
    """


class CorruptChunk(ElioError):
    """
    The bytes do not match their digest.
    """


class SpanUnreadable(CorruptChunk):
    """
    The file from which bytes were being sent cannot be read any more.

    Attributes:
        taken: How many of them have been sent.
    """

    def __init__(self, reason: str, taken: int) -> None:
        super().__init__(reason)
        self.taken = taken


class BackendUnusable(ElioError):
    """
    A cache tier cannot go on: its disk is full, read-only or gone.
    """


class ControlPlaneError(ElioError):
    """
    The control plane gave no answer that can be used: go on without it, try later.
    """
