"""
Which of this machine's addresses others reach it by.
"""

import contextlib
import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """
    Tell whether only this machine can reach an address.
    """
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def is_any(host: str) -> bool:
    """
    Tell whether an address stands for all of the machine's.
    """
    return host in ("", "0.0.0.0", "::")  # noqa: S104  compared, not bound


def own_address(towards: str, port: int) -> str:
    """
    Find the address that packets to a host leave from. Nothing is sent.

    Args:
        towards: A host name or address; resolving a name may block.
        port: Any port of it.

    Returns:
        The address, or ``127.0.0.1`` when there is no way to the host.
    """
    with contextlib.suppress(OSError):
        family, kind, protocol, _, address = socket.getaddrinfo(
            towards, port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            found: str = probe.getsockname()[0]
            return found
    return "127.0.0.1"


_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254", "168.63.129.16"))
)
"""
Where clouds give their machines credentials, besides link-local addresses: Alibaba,
AWS over IPv6, Azure.
"""


def is_internal(host: str) -> bool:
    """
    Tell whether an address is one that a name of a store must not lead to: of this
    machine, link-local, of a cloud's metadata service, or of nobody in particular.

    Args:
        host: An IP address, with or without a scope.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
    )
