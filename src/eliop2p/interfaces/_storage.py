"""
The store, and what is remembered of its objects.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.model.chunk import ObjectId


class IBodySource(Interface):
    """
    A request body that arrives while it is being forwarded.
    """

    complete: bool = Attribute("Whether all of it has come in.")

    def start(
        write: Callable[[bytes], None],
        finished: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """
        Begin to deliver raw body bytes, with their transfer framing. Exactly one of
        finished and failed is called, last.
        """

    def pause() -> None:
        """
        Deliver nothing until resumed.
        """

    def resume() -> None:
        """
        Deliver again.
        """

    def stop() -> None:
        """
        Deliver nothing more: the store has answered or is gone.
        """


class IBodyReceiver(Interface):
    """
    Where a response body goes.
    """

    def data_received(data: bytes) -> None:
        """
        Take raw body bytes, with their transfer framing.
        """

    def body_ended() -> None:
        """
        The body is complete according to its framing.
        """

    def body_failed(error: Exception) -> None:
        """
        The body broke off: an :class:`eliop2p.base.errors.OriginError`.
        """


class IOriginResponse(Interface):
    """
    An answer of the store whose head is known and whose body waits, paused.
    """

    head: ResponseHead = Attribute("The head, as the store sent it.")

    def deliver(receiver: IBodyReceiver) -> None:
        """
        Begin to deliver the body; once.
        """

    def pause() -> None:
        """
        Deliver nothing until resumed.
        """

    def resume() -> None:
        """
        Deliver again.
        """

    def narrow() -> None:
        """
        Let the store send little ahead of what has been taken, since most of the body
        will be dropped.
        """

    def abort() -> None:
        """
        Drop the rest of the body, closing the connection unless the body had ended.
        The receiver hears nothing more.
        """


class IOrigin(Interface):
    """
    An object store that speaks S3, or something that answers as one would.
    """

    name: bytes = Attribute(
        "What the store is called in cache keys: scheme://host:port"
    )
    requests: int = Attribute("Requests sent so far.")
    bytes_in: int = Attribute("Body bytes received so far.")

    def request(
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> "Deferred[IOriginResponse]":
        """
        Send a request as it is and wait for the head of the final answer.

        A request without a body whose method is GET or HEAD is tried once more when a
        kept-alive connection died before it answered anything.

        Args:
            head: Sent byte for byte.
            body: The request body, if it has one.
            interim: Told of 1xx answers.

        Raises:
            OriginUnavailable: There is no answer (in the Deferred).
            WrongAnswer: The answer is not HTTP (in the Deferred).
        """

    def close() -> "Deferred[None]":
        """
        Close idle connections and wait for none of the others.
        """


class IRecordStore(Interface):
    """
    Remembers small records by object across restarts; bounded, oldest use out first.
    """

    def get(object_id: ObjectId) -> "Deferred[bytes | None]":
        """
        Give a record, or None.
        """

    def put(object_id: ObjectId, record: bytes) -> "Deferred[None]":
        """
        Keep a record in place of an earlier one.
        """

    def remove(object_id: ObjectId) -> "Deferred[None]":
        """
        Drop a record if there is one.
        """

    def below(
        bucket: bytes, prefix: bytes, limit: int
    ) -> "Deferred[tuple[tuple[ObjectId, bytes], ...]]":
        """
        Give some of the records of a bucket's objects whose keys begin with a prefix.

        Args:
            bucket: The bucket; empty for all of them, what was used last first.
            prefix: What keys begin with; empty for all of them.
            limit: The most records to give.
        """
