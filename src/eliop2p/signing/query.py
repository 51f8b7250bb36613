"""
Queries as sent: pairs in their order, still percent-encoded.
"""

from collections.abc import Callable, Collection
from urllib.parse import quote, unquote_to_bytes

Pairs = list[tuple[bytes, bytes]]


def pairs_of(target: bytes) -> Pairs:
    """
    Split the query of a target. A name without ``=`` has an empty value.
    """
    _, _, query = target.partition(b"?")
    found: Pairs = []
    for item in query.split(b"&"):
        name, _, value = item.partition(b"=")
        if item:
            found.append((name, value))
    return found


def values_of(pairs: Pairs) -> dict[bytes, list[bytes]]:
    """
    Give the decoded values of each decoded name.
    """
    found: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        found.setdefault(unquote_to_bytes(name), []).append(unquote_to_bytes(value))
    return found


def without_pairs(target: bytes, drop: Callable[[bytes], bool]) -> bytes:
    """
    Leave parameters out of a target and the rest of it as it is.

    Args:
        target: Path and query.
        drop: Whether a parameter of a decoded name goes.
    """
    path, mark, query = target.partition(b"?")
    kept = [
        item
        for item in query.split(b"&")
        if not drop(unquote_to_bytes(item.partition(b"=")[0]))
    ]
    joined = b"&".join(kept)
    return path + mark + joined if joined else path


def canonical_target(target: bytes) -> bytes:
    """
    Write a target as AWS has it signed: encoded once, and nothing encoded that need not
    be. Stores that decode targets and encode them again to check a signature (Ceph and
    Swift do) take no other. What the target names stays the same.

    A ``+`` in a query stays: some take it for a space, others for itself.
    """
    path, mark, query = target.partition(b"?")
    items = (
        b"=".join(_encoded(part, b"+") for part in item.split(b"=", 1))
        for item in query.split(b"&")
    )
    return _encoded(path, b"/") + mark + b"&".join(items)


def _encoded(text: bytes, kept: bytes) -> bytes:
    return quote(unquote_to_bytes(text), safe=kept.decode()).encode()


def single(
    values: dict[bytes, list[bytes]], names: Collection[bytes]
) -> dict[bytes, bytes] | None:
    """
    Give the value of each of some names.

    Returns:
        None unless every name stands there exactly once.
    """
    if any(len(values.get(name, ())) != 1 for name in names):
        return None
    return {name: values[name][0] for name in names}
