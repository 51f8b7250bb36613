"""
A store that is asked under the node's own name.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.base.errors import OriginUnavailable
from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import IBodySource, IOrigin, IOriginResponse
from eliop2p.signing.own import Sign
from eliop2p.storage.around import AroundOrigin
from eliop2p.storage.keys import IKeySource


@implementer(IOrigin)
class SignedOrigin(AroundOrigin):
    """
    Signs every request anew before it goes to the store.

    Args:
        inner: The store.
        sign: How the store wants it.
        source: Knows the keys.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        inner: IOrigin,
        sign: Sign,
        source: IKeySource,
        now: Callable[[], float],
    ) -> None:
        super().__init__(inner)
        self._sign = sign
        self._source = source
        self._now = now

    def request(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> "Deferred[IOriginResponse]":
        """
        See :meth:`eliop2p.interfaces.IOrigin.request`; the head is signed first.

        Raises:
            OriginUnavailable: There is no key, or the head cannot be signed (in the
                Deferred).
        """
        return Deferred.fromCoroutine(self._request(head, body, interim))

    async def _request(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> IOriginResponse:
        keys = await self._source.keys()
        try:
            signed = self._sign(head, keys, self._now())
        except UnicodeDecodeError as error:
            raise OriginUnavailable(
                "the request cannot be signed: not UTF-8"
            ) from error
        return await self._inner.request(signed, body, interim)
