"""
A store that wants buckets named by the host: Alibaba OSS.
"""

import re
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from eliop2p.http1.message import RequestHead, ResponseHead
from eliop2p.interfaces import IBodySource, IOrigin, IOriginResponse
from eliop2p.signing.own import with_host
from eliop2p.storage.around import AroundOrigin

_BUCKET = re.compile(rb"[A-Za-z0-9._-]+")


def hosted(head: RequestHead, base: bytes) -> RequestHead:
    """
    Move the bucket from the path to the host.

    OSS refuses ``/bucket/key`` on its region's host. Its signatures cover the bucket
    and the key however they are named, and not Host: they stay valid.

    Args:
        head: A request for ``/bucket/key``.
        base: The host of the store as a whole.
    """
    path, mark, query = head.target.partition(b"?")
    bucket, _, key = path.removeprefix(b"/").partition(b"/")
    if not _BUCKET.fullmatch(bucket):
        return with_host(head, base)
    moved = attrs.evolve(head, target=b"/" + key + mark + query)
    return with_host(moved, bucket + b"." + base)


@implementer(IOrigin)
class HostedOrigin(AroundOrigin):
    """
    Names the bucket of each request by the host.

    Args:
        inner: The store.
        base: The host of the store as a whole, with its port unless that is the usual.
    """

    def __init__(self, inner: IOrigin, base: bytes) -> None:
        super().__init__(inner)
        self._base = base

    def request(
        self,
        head: RequestHead,
        body: IBodySource | None,
        interim: Callable[[ResponseHead], None] | None,
    ) -> "Deferred[IOriginResponse]":
        """
        See :meth:`eliop2p.interfaces.IOrigin.request`.
        """
        return self._inner.request(hosted(head, self._base), body, interim)
