"""
The clients that a node knows, and what each may do: the credentials file.

An INI file with one section per client::

    [trainer]
    access_key = AKTRAINER
    secret_key = ...
    allow = read models
            write scratch/trainer/
"""

import re
from collections.abc import Iterator
from configparser import ConfigParser, Error
from enum import IntEnum

import attrs

from eliop2p.base.secret import Secret

ANY_BUCKET = "*"

_KEYS = frozenset(("access_key", "secret_key", "session_token", "allow"))
_ACCESS_KEY = re.compile(r"[A-Za-z0-9._@+-]{3,128}")
_BUCKET = re.compile(rb"[A-Za-z0-9._-]{1,255}")


class Access(IntEnum):
    """
    How much a rule allows; each includes those before it.
    """

    READ = 1
    """
    Objects and lists of them.
    """
    WRITE = 2
    """
    Also to put and delete objects and their tags.
    """
    FULL = 3
    """
    Also whatever else the node itself may do: access rules, configuration of buckets.
    """


@attrs.frozen
class Rule:
    """
    What one line of ``allow`` gives.

    Attributes:
        access: How much.
        bucket: In which bucket, ``*`` for any.
        prefix: With what every key must begin; empty for the whole bucket.
    """

    access: Access
    bucket: bytes
    prefix: bytes = b""

    def covers_bucket(self, bucket: bytes) -> bool:
        """
        Tell whether the rule is about a bucket, or about part of it.
        """
        return self.bucket in (bucket, ANY_BUCKET.encode())


@attrs.frozen
class Client:
    """
    Somebody with an access key.

    Attributes:
        name: What logs call the client.
        access_key: The public half.
        secret_key: The secret half.
        session_token: What must come along with the access key, None for nothing.
        rules: What the client may do; nothing beyond them.
    """

    name: str
    access_key: str
    secret_key: Secret
    session_token: Secret | None
    rules: tuple[Rule, ...]

    def may(self, access: Access, bucket: bytes, key: bytes) -> bool:
        """
        Tell whether some rule gives access to a key, or to every key that begins so.
        """
        return any(
            rule.access >= access
            and rule.covers_bucket(bucket)
            and key.startswith(rule.prefix)
            and not (rule.prefix and _has_dot_segment(key))
            for rule in self.rules
        )

    def knows(self, bucket: bytes) -> bool:
        """
        Tell whether some rule is about a bucket.
        """
        return any(rule.covers_bucket(bucket) for rule in self.rules)


def _has_dot_segment(key: bytes) -> bool:
    """
    Tell whether something between the node and the store might take a key for another:
    stores take ``a/../b`` literally, proxies do not.
    """
    return not {b".", b".."}.isdisjoint(key.split(b"/"))


def is_bucket_name(bucket: bytes) -> bool:
    """
    Tell whether a store can have a bucket of this name.
    """
    return _BUCKET.fullmatch(bucket) is not None


Clients = dict[str, Client]
"""
Clients by access key.
"""


def _parse_rule(line: str) -> Rule:
    words = line.split(maxsplit=1)
    names = {access.name.lower(): access for access in Access}
    if len(words) != 2 or words[0] not in names:
        raise ValueError(
            f"allow: expected '{' or '.join(names)} BUCKET[/PREFIX]', not {line!r}"
        )
    bucket, _, prefix = words[1].partition("/")
    if bucket != ANY_BUCKET and not is_bucket_name(bucket.encode()):
        raise ValueError(f"allow: {bucket!r} is no name of a bucket")
    return Rule(names[words[0]], bucket.encode(), prefix.encode())


def _parse_rules(text: str) -> tuple[Rule, ...]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("allow: expected at least one line such as 'read models'")
    return tuple(map(_parse_rule, lines))


def _parse_client(name: str, values: dict[str, str]) -> Client:
    for key in values:
        if key not in _KEYS:
            raise ValueError(f"{key}: there is no such key")
    access_key = values.get("access_key", "")
    if not _ACCESS_KEY.fullmatch(access_key):
        raise ValueError("access_key: expected 3 to 128 letters and digits")
    if not values.get("secret_key"):
        raise ValueError("secret_key: is not set")
    token = values.get("session_token")
    return Client(
        name,
        access_key,
        Secret(values["secret_key"]),
        Secret(token) if token else None,
        _parse_rules(values.get("allow", "")),
    )


def _each(parser: ConfigParser, problems: list[str]) -> Iterator[Client]:
    for name in parser.sections():
        try:
            yield _parse_client(name, dict(parser[name]))
        except ValueError as error:
            problems.append(f"[{name}] {error}")


def parse_clients(text: str) -> Clients:
    """
    Read a credentials file.

    Raises:
        ValueError: Something in it is wrong; the text lists everything, no secret.
    """
    parser = ConfigParser(interpolation=None, default_section="", delimiters=("=",))
    try:
        parser.read_string(text)
    except Error as error:
        # The message of the error quotes the line, and with it perhaps a secret.
        line = getattr(error, "lineno", None) or "?"
        raise ValueError(f"is no INI file (line {line})") from None
    problems: list[str] = []
    clients: Clients = {}
    for client in _each(parser, problems):
        if client.access_key in clients:
            other = clients[client.access_key].name
            problems.append(f"[{client.name}] access_key: is that of [{other}] as well")
        clients[client.access_key] = client
    if not clients and not problems:
        problems.append("names no client")
    if problems:
        raise ValueError("; ".join(problems))
    return clients
