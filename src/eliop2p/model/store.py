"""
The stores that clients may reach, and which of them a host name means.
"""

import ipaddress

import attrs

HTTP_PORT = 80


def is_address(host: str) -> bool:
    """
    Tell whether a host is an IP address rather than a name.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@attrs.frozen
class StoreAddress:
    """
    A store as clients and the node name it.

    Attributes:
        name: What it is called in cache keys: ``scheme://host:port``.
        host: Where the node connects to; empty for a store that is no server.
        port: TCP port.
        tls: Whether the node speaks https to it.
        domains: Further names under which clients know it, on any port; a name below
            one of them begins with a bucket.
        guarded: Whether it is a name that must not lead to an internal address.
        aliases: Names that stand for one bucket each, on any port, with the bucket.
    """

    name: bytes
    host: str = ""
    port: int = 0
    tls: bool = False
    domains: tuple[str, ...] = ()
    guarded: bool = False
    aliases: tuple[tuple[str, str], ...] = ()

    def bucket_in(self, host: str, port: int) -> str | None:
        """
        Find the bucket that a client's host name begins with (virtual-host style).

        Args:
            host: In lower case.
            port: What the client connects to, or means to.

        Returns:
            The bucket; empty when the host is the store itself, so that the bucket is
            in the path; None when the host is not this store's.
        """
        for name, bucket in self.aliases:
            if host == name:
                return bucket
        names = self.domains
        if self.host and self.is_port(port):
            names = (self.host, *names)
        for name in names:
            if host == name:
                return ""
            if host.endswith(f".{name}") and not is_address(name):
                return host[: -len(name) - 1]
        return None

    def is_port(self, port: int) -> bool:
        """
        Tell whether a port is the store's: a client whose requests the node carries to
        an https store may have written an http endpoint.
        """
        return port == self.port or (self.tls and port == HTTP_PORT)


@attrs.frozen
class Place:
    """
    Where a request goes.

    Attributes:
        store: Which store.
        bucket: The bucket that the host name begins with, empty when it is in the path.
    """

    store: StoreAddress
    bucket: str


@attrs.frozen
class Stores:
    """
    All stores of a node.

    Attributes:
        main: Where requests go that name none of them.
        others: Those that are reached by name only.
    """

    main: StoreAddress
    others: tuple[StoreAddress, ...] = ()

    def find(self, host: str, port: int) -> Place | None:
        """
        Find the store that a host name means; the longest name that fits wins.

        Args:
            host: In lower case.
            port: TCP port.

        Returns:
            None when it means none of them.
        """
        found = [
            Place(store, bucket)
            for store in (self.main, *self.others)
            if (bucket := store.bucket_in(host, port)) is not None
        ]
        return min(found, key=lambda place: len(place.bucket), default=None)

    def place(self, host: str, port: int) -> Place:
        """
        Find the store for a request that came to the node as if it were the store.
        """
        return self.find(host, port) or Place(self.main, "")
