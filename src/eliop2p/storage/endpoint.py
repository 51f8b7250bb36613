"""
The address of a store, as its operator writes it.
"""

from urllib.parse import urlsplit

import attrs

_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class Endpoint:
    """
    Where a store listens.

    Attributes:
        host: Name or address, in lower case, without brackets.
        port: TCP port.
        tls: Whether the store speaks https.
    """

    host: str
    port: int
    tls: bool

    @property
    def address(self) -> str:
        """
        The ``host:port`` of error messages and names.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def name(self) -> bytes:
        """
        The ``scheme://host:port`` of cache keys, with the port always in it.
        """
        return f"{'https' if self.tls else 'http'}://{self.address}".encode()


def parse_endpoint(text: str) -> Endpoint:
    """
    Read an ``http://`` or ``https://`` URL without path, query or user.

    Raises:
        ValueError: It is anything else.
    """
    parts = urlsplit(text)
    default = _PORTS.get(parts.scheme)
    if default is None or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not an http:// or https:// endpoint")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("an endpoint has no path")
    port = default if parts.port is None else parts.port
    return Endpoint(parts.hostname, port, parts.scheme == "https")
