"""
Preconditions and ranges of a request for an object whose state is known (RFC 9110,
sections 13.2.2 and 14.2).
"""

import attrs

from eliop2p.http1.dates import parse_http_date
from eliop2p.http1.message import RequestHead
from eliop2p.model.ranges import Interval, parse_range


@attrs.frozen
class State:
    """
    What conditions are compared with.

    Attributes:
        etag: Strong, with its quotes.
        modified: Epoch second of the last change.
        size: Length in bytes.
    """

    etag: bytes
    modified: int
    size: int


@attrs.frozen
class Outcome:
    """
    How a request for an object is to be answered.

    Attributes:
        status: 200, 206, 304, 412 or 416.
        interval: The bytes to send; empty unless the status is 200 or 206.
    """

    status: int
    interval: Interval


_NOTHING = Interval(0, 0)


def _lists(value: bytes, etag: bytes, weak: bool) -> bool:
    """
    Tell whether an If-Match or If-None-Match value names the ETag. Clients that leave
    out the quotes are understood.
    """
    bare = etag.strip(b'"')
    for item in value.split(b","):
        tag = item.strip()
        if weak:
            tag = tag.removeprefix(b"W/")
        if tag == b"*" or tag.strip(b'"') == bare:
            return True
    return False


def _failed(head: RequestHead, state: State) -> bool:
    if_match = head.get(b"if-match")
    if if_match is not None:
        return not _lists(if_match, state.etag, weak=False)
    since = parse_http_date(head.get(b"if-unmodified-since") or b"")
    return since is not None and state.modified > since


def _not_modified(head: RequestHead, state: State) -> bool:
    if_none_match = head.get(b"if-none-match")
    if if_none_match is not None:
        return _lists(if_none_match, state.etag, weak=True)
    since = parse_http_date(head.get(b"if-modified-since") or b"")
    return since is not None and state.modified <= since


def _range_applies(head: RequestHead, state: State) -> bool:
    if_range = head.get(b"if-range")
    if if_range is None or if_range == state.etag:
        return True
    return parse_http_date(if_range) == state.modified


def decide(head: RequestHead, state: State) -> Outcome:
    """
    Apply the conditions of a GET or HEAD.

    A Range that is anything but one plain byte range is ignored, as S3 does.
    """
    if _failed(head, state):
        return Outcome(412, _NOTHING)
    if _not_modified(head, state):
        return Outcome(304, _NOTHING)
    wanted = parse_range(head.get(b"range") or b"")
    if wanted is None or not _range_applies(head, state):
        return Outcome(200, Interval(0, state.size))
    interval = wanted.resolve(state.size)
    return Outcome(206, interval) if interval else Outcome(416, _NOTHING)
