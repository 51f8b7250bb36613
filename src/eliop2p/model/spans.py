"""
A request as a tree of spans: the request, its chunks, and what was asked for each.
"""

from collections.abc import Iterator

import attrs

from eliop2p.model.trail import ChunkTrail, RequestTrail, Step

Value = str | int | float


@attrs.frozen
class Span:
    """
    Something that took a while.

    Attributes:
        name: What.
        began: In seconds since the epoch.
        ended: Likewise; not before it began.
        calls: Whether it is a question to another machine.
        error: What went wrong, empty when nothing did.
        attributes: More of it. Names without ``eliop2p.`` are those of OpenTelemetry's
            semantic conventions for HTTP.
        children: What it consists of.
    """

    name: str
    began: float
    ended: float
    calls: bool = False
    error: str = ""
    attributes: dict[str, Value] = attrs.Factory(dict)
    children: "tuple[Span, ...]" = ()


def name_of(trail: RequestTrail) -> str:
    """
    Give the name of a request's span: the method, and no path, of which there are too
    many to sum up by.
    """
    return f"{trail.method.decode('latin-1')} object"


def span_of(trail: RequestTrail) -> Span:
    """
    Tell of a request that has ended.
    """
    attributes: dict[str, Value] = {
        "http.request.method": trail.method.decode("latin-1"),
        "url.path": trail.target.partition(b"?")[0].decode("utf-8", "replace"),
        "http.response.status_code": trail.status,
        "http.response.body.size": trail.sent,
        "eliop2p.request_id": trail.request_id,
        "eliop2p.cache": trail.cache,
    }
    if trail.chunks_left_out:
        attributes["eliop2p.chunks_left_out"] = trail.chunks_left_out
    return Span(
        name_of(trail),
        trail.started,
        trail.started + max(trail.seconds, 0.0),
        error=trail.error or ("" if trail.status < 500 else f"status {trail.status}"),
        attributes=attributes,
        children=(*_questions(trail), *_chunks(trail)),
    )


def _questions(trail: RequestTrail) -> Iterator[Span]:
    """
    Tell of the questions to the store whether the client may read; when they began is
    not noted, so that they are told as following each other from the beginning.
    """
    began = trail.started
    for status, seconds, name in trail.asked:
        attributes: dict[str, Value] = {"http.response.status_code": status}
        if name:
            attributes["eliop2p.upstream_request_id"] = name
        error = "" if status else "no answer"
        yield Span("ask store", began, began + seconds, True, error, attributes)
        began += seconds


def _chunks(trail: RequestTrail) -> Iterator[Span]:
    """
    Tell of each chunk, from when it was first sought, or the chunk before it was sent,
    until it was sent itself.
    """
    before = trail.started
    last = trail.started + max(trail.seconds, 0.0)
    for chunk in trail.chunks:
        ended = chunk.ended or last
        steps = tuple(map(_step, chunk.arrival.steps)) if chunk.arrival else ()
        began = min([before, *(step.began for step in steps)])
        yield Span(
            "chunk",
            began,
            max(ended, began),
            attributes=_of_chunk(chunk),
            children=steps,
        )
        before = ended


def _of_chunk(chunk: ChunkTrail) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        "eliop2p.chunk.index": chunk.index,
        "eliop2p.chunk.bytes": chunk.bytes,
        "eliop2p.chunk.source": chunk.source,
        "eliop2p.chunk.joined": int(chunk.joined),
        "eliop2p.chunk.waited": chunk.waited,
    }
    if chunk.arrival is not None:
        attributes["eliop2p.chunk.queued"] = chunk.arrival.queued
        attributes["eliop2p.chunk.retries"] = chunk.arrival.retries
    return attributes


_NAMES = {"home": "ask home", "peer": "receive from peer", "origin": "read store"}


def _step(step: Step) -> Span:
    attributes: dict[str, Value] = {
        "eliop2p.outcome": step.outcome,
        "eliop2p.why": step.why,
        "eliop2p.bytes": step.bytes,
        "eliop2p.discarded": step.intake.discarded,
    }
    if step.name:
        attributes["eliop2p.peer"] = step.name
    failed = step.what != "home" and step.outcome != "done"
    return Span(
        _NAMES.get(step.what, step.what),
        step.began,
        step.began + step.seconds,
        calls=True,
        error=step.outcome if failed else "",
        attributes=attributes,
    )
