"""
The kinds of value that a key may have: each reads a text or says what would be right.
"""

import ipaddress
import math
import re
from collections.abc import Callable
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import attrs

from eliop2p.base.secret import Secret

MIB = 1024 * 1024
MBIT = 1_000_000 // 8
MAX_PORT = 65535

_T = TypeVar("_T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_DIGITS = re.compile(r"[0-9]{1,15}")


@attrs.frozen
class Kind(Generic[_T]):
    """
    How the text of a value is read.

    Attributes:
        name: What the reference calls the kind.
        parse: Reads a text; raises ValueError with what would be right.
        secret: Whether the text must not be shown.
        path: Whether a relative text is meant from where it was written.
    """

    name: str
    parse: Callable[[str], _T]
    secret: bool = False
    path: bool = False


@attrs.frozen
class Endpoint:
    """
    Where a server is reached.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Name or address, without brackets.
        port: TCP port.
    """

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """
        The endpoint as ``scheme://host:port``.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def integer(low: int, high: int, scale: int = 1) -> Kind[int]:
    """
    Make the kind of whole numbers within bounds, multiplied by scale once read.
    """
    wanted = f"a whole number from {low} to {high}"

    def parse(text: str) -> int:
        if not _DIGITS.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"expected {wanted}")
        return int(text) * scale

    return Kind(f"integer {low}..{high}", parse)


def decimal(low: float, high: float) -> Kind[float]:
    """
    Make the kind of decimal numbers above low and up to high.
    """
    wanted = f"a number above {low:g} and up to {high:g}"

    def parse(text: str) -> float:
        value = float(text) if _DECIMAL.fullmatch(text) else math.nan
        if not low < value <= high:
            raise ValueError(f"expected {wanted}")
        return value

    return Kind(f"number {low:g}..{high:g}", parse)


def choice(*names: str) -> Kind[str]:
    """
    Make the kind that is one of a few words, whatever their case.
    """
    by_folded = {name.casefold(): name for name in names}

    def parse(text: str) -> str:
        try:
            return by_folded[text.casefold()]
        except KeyError:
            raise ValueError(f"expected {' or '.join(names)}") from None

    return Kind(", ".join(names), parse)


def _parse_switch(text: str) -> bool:
    return choice("on", "off").parse(text) == "on"


def size_choice(*mebibytes: int) -> Kind[int]:
    """
    Make the kind that is one of a few sizes in MiB, in bytes once read.
    """
    words = choice(*(str(size) for size in mebibytes))
    return Kind(words.name, lambda text: int(words.parse(text)) * MIB)


def _parse_name(text: str) -> str:
    if text and not _NAME.fullmatch(text):
        raise ValueError(
            "expected up to 64 letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit"
        )
    return text


def _parse_plugin(text: str) -> str:
    if not text:
        raise ValueError("expected the name of a plugin")
    return _parse_name(text)


def _parse_bind_address(text: str) -> str:
    if text == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(
            "expected an IP address of this machine, 0.0.0.0 or :: for all of them"
        ) from None


def _parse_host(text: str) -> str:
    if not text:
        return text
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if not _HOST.fullmatch(text):
            raise ValueError("expected a host name or an IP address") from None
        return text
    if address.is_unspecified:
        raise ValueError("expected an address that other machines can connect to")
    return str(address)


def _parse_path(text: str) -> str:
    if "\0" in text:
        raise ValueError("expected a path without NUL")
    return text


def _parse_directory(text: str) -> str:
    if not text:
        raise ValueError("expected a path")
    return _parse_path(text)


def _parse_secret(text: str) -> Secret | None:
    return Secret(text) if text else None


def parse_endpoint(
    text: str, schemes: tuple[str, ...], default_port: int | None = None
) -> Endpoint:
    """
    Read ``scheme://host[:port]``.

    Args:
        text: What to read.
        schemes: Which schemes are allowed.
        default_port: The port when none is written; the scheme's own when None.

    Raises:
        ValueError: It is something else; the text says what is expected.
    """
    wanted = f"expected {' or '.join(f'{scheme}://' for scheme in schemes)}host[:port]"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(wanted) from None
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(wanted)
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{wanted} without user and password")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"{wanted} without a path")
    if port == 0:
        raise ValueError(f"{wanted} with a port from 1 to {MAX_PORT}")
    if port is None:
        port = default_port or {"http": 80, "https": 443}[parts.scheme]
    return Endpoint(parts.scheme, _parse_host(parts.hostname), port)


OTLP_PORT = 4318
"""
The port on which collectors take OTLP over HTTP.
"""


def _parse_collector(text: str) -> Endpoint | None:
    if not text:
        return None
    return parse_endpoint(text, ("http", "https"), default_port=OTLP_PORT)


def _words(text: str) -> list[str]:
    """
    Cut a list at blanks, line ends and commas.
    """
    return text.replace(",", " ").split()


def _parse_endpoints(text: str) -> tuple[Endpoint, ...]:
    return tuple(parse_endpoint(each, ("http", "https")) for each in _words(text))


def _parse_domain(text: str) -> str:
    name = text.lower().strip(".")
    if not _HOST.fullmatch(name):
        raise ValueError("expected host names without ports, separated by blanks")
    return name


def _parse_domains(text: str) -> tuple[str, ...]:
    return tuple(map(_parse_domain, _words(text)))


_ETCD = {"etcd": "http", "etcd+https": "https"}
"""
How an endpoint says that the control plane is etcd, and how that is spoken to.
"""

ETCD_PORT = 2379
_MAX_ETCD = 9


def is_etcd(text: str) -> bool:
    """
    Tell whether a control plane's endpoint names a cluster of etcd.
    """
    return text.partition("://")[0] in _ETCD


def parse_control_endpoints(text: str, default_port: int) -> tuple[Endpoint, ...]:
    """
    Read the endpoint of a control plane.

    Args:
        text: ``host``, ``host:port``, ``http(s)://host:port``, or
            ``etcd://host:port,host:port``.
        default_port: The port of an embedded control plane when none is written.

    Raises:
        ValueError: It is something else; the text says what is expected.
    """
    if not is_etcd(text):
        url = text if "://" in text else f"http://{text}"
        return (parse_endpoint(url, ("http", "https"), default_port=default_port),)
    kind, _, hosts = text.partition("://")
    scheme, names = _ETCD[kind], hosts.split(",")
    if len(names) > _MAX_ETCD:
        raise ValueError(f"expected up to {_MAX_ETCD} members of etcd")
    return tuple(
        parse_endpoint(f"{scheme}://{name.strip()}", (scheme,), default_port=ETCD_PORT)
        for name in names
    )


def _parse_custom_host(text: str) -> tuple[str, str]:
    host, _, bucket = text.partition("=")
    if not _NAME.fullmatch(bucket):
        raise ValueError("expected host=bucket, several of them separated by blanks")
    return _parse_domain(host), bucket


def _parse_custom_hosts(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(map(_parse_custom_host, _words(text)))


def _parse_control_endpoint(text: str) -> str:
    if text:
        parse_control_endpoints(text, 1)
    return text


_MAX_SEEDS = 16


def _parse_seeds(text: str) -> tuple[tuple[str, int], ...]:
    """
    Read ``host:port,host:port``.
    """
    wanted = f"expected host:port, up to {_MAX_SEEDS} of them separated by commas"
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) > _MAX_SEEDS:
        raise ValueError(wanted)
    try:
        places = [parse_endpoint(f"tcp://{name}", ("tcp",), 9000) for name in names]
    except ValueError:
        raise ValueError(wanted) from None
    return tuple((place.host, place.port) for place in places)


PORT = integer(0, MAX_PORT)
REMOTE_PORT = integer(1, MAX_PORT)
NAME = Kind("name", _parse_name)
PLUGIN = Kind("name", _parse_plugin)
BIND_ADDRESS = Kind("IP address", _parse_bind_address)
HOST = Kind("host", _parse_host)
TEXT = Kind("text", str)
CONTROL_ENDPOINT = Kind("host, host:port or http://host:port", _parse_control_endpoint)
ENDPOINTS = Kind("http(s)://host[:port], separated by blanks", _parse_endpoints)
COLLECTOR = Kind("http(s)://host[:port]", _parse_collector)
DOMAINS = Kind("host names, separated by blanks", _parse_domains)
CUSTOM_HOSTS = Kind("host=bucket, separated by blanks", _parse_custom_hosts)
SWITCH = Kind("on, off", _parse_switch)
SEEDS = Kind("host:port, separated by commas", _parse_seeds)
CONTROL_ENDPOINT = Kind(
    "host, host:port, http(s)://host:port or etcd://host:port,host:port",
    _parse_control_endpoint,
)
DIRECTORY = Kind("path", _parse_directory, path=True)
FILE = Kind("path", _parse_path, path=True)
SECRET = Kind("secret", _parse_secret, secret=True)
