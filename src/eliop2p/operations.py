"""
What operators ask of the cluster through any node of it.
"""

from collections import Counter

from twisted.internet.defer import Deferred

from eliop2p.base.errors import ControlPlaneError
from eliop2p.control.policy import MAX_REPLICAS, Policy, Rule, split_prefix
from eliop2p.control.steering import ISteering
from eliop2p.interfaces import ICatalog
from eliop2p.model.chunk import Layout

MAX_SHOWN = 1000
"""
Objects that one answer shows.
"""

_AT_ONCE = 256


class Operations:
    """
    Answers questions about objects, and changes the policy.

    Args:
        catalog: Knows what the cluster holds.
        steering: Knows the policy.
    """

    def __init__(self, catalog: ICatalog, steering: ISteering) -> None:
        self._catalog = catalog
        self._steering = steering

    def objects(self, asked: dict[str, object]) -> "Deferred[dict[str, object]]":
        """
        Tell who holds how much of the objects below ``prefix``.

        Raises:
            ValueError: The question makes no sense.
        """
        bucket, prefix = split_prefix(_text(asked, "prefix"))
        return Deferred.fromCoroutine(self._objects(bucket, prefix))

    def replication(self, asked: dict[str, object]) -> "Deferred[dict[str, object]]":
        """
        Show the policy; before that, ``set`` a rule or ``remove`` that of a prefix.

        Raises:
            ValueError: The question makes no sense.
        """
        rule = _rule(asked["set"]) if "set" in asked else None
        removed = _text(asked, "remove") if "remove" in asked else ""
        return Deferred.fromCoroutine(self._replication(rule, removed))

    async def _objects(self, bucket: str, prefix: str) -> dict[str, object]:
        layouts = await self._catalog.objects(bucket.encode(), prefix.encode())
        shown = [await self._describe(layout) for layout in layouts[:MAX_SHOWN]]
        return {"found": len(layouts), "objects": shown}

    async def _describe(self, layout: Layout) -> dict[str, object]:
        """
        Tell who holds how many chunks of a version.
        """
        nodes: Counter[str] = Counter()
        fewest, held = layout.count, 0
        for start in range(0, layout.count, _AT_ONCE):
            stop = min(start + _AT_ONCE, layout.count)
            names = tuple(layout.chunk(index).id for index in range(start, stop))
            places = await self._catalog.places(names)
            holders = [places[name].holders if name in places else () for name in names]
            fewest = min(fewest, *(len(each) for each in holders))
            held += sum(1 for each in holders if each)
            for each in holders:
                nodes.update(each)
        return {
            "bucket": layout.key.bucket.decode("utf-8", "replace"),
            "key": layout.key.key.decode("utf-8", "replace"),
            "etag": layout.version.etag.decode("utf-8", "replace"),
            "size": layout.version.size,
            "chunks": layout.count,
            "held": held,
            "replicas": fewest,
            "nodes": dict(sorted(nodes.items())),
        }

    async def _replication(self, rule: Rule | None, removed: str) -> dict[str, object]:
        policy: Policy = await self._steering.policy()
        changed = policy
        if rule is not None:
            changed = changed.with_rule(rule)
        if removed:
            changed = changed.without(removed)
        if changed != policy:
            policy = await self._steering.set_policy(changed)
            if policy.rules != changed.rules:
                raise ControlPlaneError(
                    "there is no control plane to keep a rule: set [control_plane] "
                    "endpoint of every node to twist eliop2p-control, or to etcd"
                )
        return policy.to_json()


def _text(asked: dict[str, object], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is to be a string")  # noqa: TRY004  answered as 400
    return value


def _rule(asked: object) -> Rule:
    if not isinstance(asked, dict):
        raise ValueError("set is to be an object")  # noqa: TRY004  answered as 400
    prefix = _text(asked, "prefix")
    split_prefix(prefix)
    replicas, pinned = asked.get("replicas"), asked.get("pinned", False)
    if not isinstance(replicas, int) or not 1 <= replicas <= MAX_REPLICAS:
        raise ValueError(f"replicas is to be a whole number from 1 to {MAX_REPLICAS}")
    return Rule(prefix, replicas, bool(pinned))
