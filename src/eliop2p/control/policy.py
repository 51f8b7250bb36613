"""
What operators want of replication: bounds for everything, and more for some prefixes.
"""

import attrs

from eliop2p.control.fields import MAX_INTEGER, BadMessage, Fields

MAX_RULES = 1000
MAX_REPLICAS = 64
"""
Rules in a policy, and replicas that a rule may ask for.
"""

_MAX_PREFIX = 1024
_SCHEMES = ("s3://", "oss://")
PREFIX_REMEDY = f"send s3://bucket/prefix of up to {_MAX_PREFIX} characters"


def split_prefix(prefix: str) -> tuple[str, str]:
    """
    Read ``s3://bucket/prefix``.

    Returns:
        The bucket and what keys begin with.

    Raises:
        ValueError: It is something else.
    """
    for scheme in _SCHEMES:
        if prefix.startswith(scheme):
            bucket, _, start = prefix.removeprefix(scheme).partition("/")
            if bucket:
                return bucket, start
    raise ValueError(f"{prefix!r} is not of the form s3://bucket/prefix")


def is_prefix(text: str) -> bool:
    """
    Tell whether a text is ``s3://bucket/prefix``.
    """
    if len(text) > _MAX_PREFIX or not text.isprintable():
        return False
    try:
        split_prefix(text)
    except ValueError:
        return False
    return True


@attrs.frozen
class Rule:
    """
    What holds for the objects below a prefix.

    Attributes:
        prefix: ``s3://bucket/prefix``.
        replicas: How many nodes should hold each chunk.
        pinned: Whether that many are kept whatever the heat.
    """

    prefix: str
    replicas: int
    pinned: bool = False

    def to_json(self) -> dict[str, object]:
        """
        Write the rule.
        """
        return attrs.asdict(self)

    def covers(self, bucket: bytes, key: bytes) -> bool:
        """
        Tell whether an object is below the prefix.
        """
        own_bucket, start = split_prefix(self.prefix)
        return own_bucket.encode() == bucket and key.startswith(start.encode())


def rule_from_json(value: object, where: str = "") -> Rule:
    """
    Read a rule.

    Raises:
        BadMessage: A field is missing or out of bounds.
    """
    fields = Fields(value, where)
    return Rule(
        prefix=fields.text("prefix", is_prefix, PREFIX_REMEDY),
        replicas=fields.integer("replicas", 1, MAX_REPLICAS),
        pinned=fields.flag("pinned", default=False),
    )


@attrs.frozen
class Policy:
    """
    How often chunks should be held.

    Attributes:
        min_replicas: For a cold chunk.
        max_replicas: For a hot one.
        rules: For prefixes; the longest prefix that covers an object holds.
        version: Grows with every change.
    """

    min_replicas: int = 1
    max_replicas: int = 5
    rules: tuple[Rule, ...] = ()
    version: int = 0

    def to_json(self) -> dict[str, object]:
        """
        Write the policy.
        """
        return {
            "version": self.version,
            "min_replicas": self.min_replicas,
            "max_replicas": self.max_replicas,
            "rules": [rule.to_json() for rule in self.rules],
        }

    @classmethod
    def from_json(cls, value: object) -> "Policy":
        """
        Read a policy. The version may be left out.

        Raises:
            BadMessage: A field is missing, out of bounds, or contradicts another.
        """
        fields = Fields(value)
        rules = fields.items("rules", MAX_RULES, rule_from_json, default=())
        low = fields.integer("min_replicas", 1, MAX_REPLICAS)
        high = fields.integer("max_replicas", 1, MAX_REPLICAS)
        if low > high:
            raise BadMessage("max_replicas", str(high), f"send at least {low}")
        prefixes = [rule.prefix for rule in rules]
        for index, prefix in enumerate(prefixes):
            if prefix in prefixes[:index]:
                remedy = "send one rule for each prefix"
                raise BadMessage(f"rules[{index}].prefix", prefix[:80], remedy)
        version = fields.integer("version", 0, MAX_INTEGER, default=0)
        return cls(low, high, rules, version)

    def rule_for(self, bucket: bytes, key: bytes) -> Rule | None:
        """
        Give the rule that holds for an object, or None.
        """
        covering = [rule for rule in self.rules if rule.covers(bucket, key)]
        return max(covering, key=lambda rule: len(rule.prefix), default=None)

    def with_rule(self, rule: Rule) -> "Policy":
        """
        Put a rule in place of the one for the same prefix.
        """
        others = [each for each in self.rules if each.prefix != rule.prefix]
        ordered = sorted([*others, rule], key=lambda each: each.prefix)
        return attrs.evolve(self, rules=tuple(ordered))

    def without(self, prefix: str) -> "Policy":
        """
        Take the rule for a prefix out.
        """
        others = tuple(rule for rule in self.rules if rule.prefix != prefix)
        return attrs.evolve(self, rules=others)


WARM_READS = 10.0
HOT_READS = 100.0
"""
Reads in an hour from which on a chunk is warm, and above which it is hot.
"""


def wanted_replicas(policy: Policy, rule: Rule | None, reads_per_hour: float) -> int:
    """
    Tell how many nodes should hold a chunk.

    A cold chunk has the minimum, a hot one the maximum, and in between the factor grows
    evenly with the number of reads. A rule that is no pin raises the maximum for what
    is warm; a pin holds at any heat.

    Args:
        policy: The bounds.
        rule: The rule that covers its object, or None.
        reads_per_hour: Its heat.
    """
    high = max(rule.replicas, policy.min_replicas) if rule else policy.max_replicas
    if rule is not None and rule.pinned:
        return high
    if reads_per_hour < WARM_READS:
        return policy.min_replicas
    warmth = min(1.0, (reads_per_hour - WARM_READS) / (HOT_READS - WARM_READS))
    return policy.min_replicas + round(warmth * (high - policy.min_replicas))
