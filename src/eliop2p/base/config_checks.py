"""
What can only be said of several keys together, or by looking at a file.
"""

import stat
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import combinations
from pathlib import Path
from typing import Protocol

import attrs

from eliop2p.base.clients import Clients, parse_clients
from eliop2p.base.config_control import ControlPlaneServerConfig
from eliop2p.base.config_kinds import parse_endpoint
from eliop2p.base.config_sections import (
    AdminConfig,
    CacheConfig,
    GeneralConfig,
    LimitsConfig,
    P2PConfig,
    ProxyConfig,
    StorageConfig,
)
from eliop2p.base.secret import Secret

MAX_SECRET_FILE = 4096

MAX_CLIENTS_FILE = 4 * 1024 * 1024
"""
The longest credentials file, in bytes.
"""


@attrs.frozen
class Conflict:
    """
    Values that are right by themselves and wrong together.

    Attributes:
        paths: The keys concerned as ``section.key``; the first gets the blame.
        reason: What is wrong and what would be right.
    """

    paths: tuple[str, ...]
    reason: str


class NodeSections(Protocol):
    """
    The sections of a node's configuration that are compared.
    """

    @property
    def general(self) -> GeneralConfig: ...  # noqa: D102
    @property
    def proxy(self) -> ProxyConfig: ...  # noqa: D102
    @property
    def cache(self) -> CacheConfig: ...  # noqa: D102
    @property
    def p2p(self) -> P2PConfig: ...  # noqa: D102
    @property
    def storage(self) -> StorageConfig: ...  # noqa: D102
    @property
    def limits(self) -> LimitsConfig: ...  # noqa: D102
    @property
    def admin(self) -> AdminConfig: ...  # noqa: D102


def node_conflicts(config: NodeSections) -> tuple[Conflict, ...]:
    """
    Compare the values of a node's configuration.
    """
    return (
        *_eviction(config.cache),
        *_sizes(config.cache, config.limits),
        *_ports(config),
        *_storage(config.storage),
        *_authorisation(config.proxy, config.storage),
    )


def _eviction(cache: CacheConfig) -> Iterator[Conflict]:
    if cache.eviction_target >= cache.eviction_threshold:
        yield Conflict(
            ("cache.eviction_target", "cache.eviction_threshold"),
            f"must be below eviction_threshold, which is {cache.eviction_threshold:g}",
        )


def _sizes(cache: CacheConfig, limits: LimitsConfig) -> Iterator[Conflict]:
    sizes = {
        "cache.memory_cache_size_mb": cache.memory_cache_size,
        "cache.disk_cache_size_mb": cache.disk_cache_size,
        "limits.inflight_memory_mb": limits.inflight_memory,
    }
    for path, size in sizes.items():
        if 0 < size < cache.chunk_size:
            yield Conflict(
                (path, "cache.chunk_size_mb"),
                "must hold at least one chunk; raise it or lower chunk_size_mb",
            )


def _ports(config: NodeSections) -> Iterator[Conflict]:
    """
    Find ports that this node would try to open twice.
    """
    listeners = (
        ("proxy.listen_port", config.proxy.bind_address, config.proxy.listen_port),
        ("p2p.listen_port", config.general.bind_address, config.p2p.listen_port),
        ("admin.listen_port", config.admin.bind_address, config.admin.listen_port),
    )
    for first, second in combinations(listeners, 2):
        if first[2] and first[2] == second[2] and _overlap(first[1], second[1]):
            other = first[0].split(".")[0]
            yield Conflict(
                (second[0], first[0]),
                f"is the listen_port of [{other}] as well; choose another",
            )


def control_conflicts(server: ControlPlaneServerConfig) -> tuple[Conflict, ...]:
    """
    Compare the values of a control plane's configuration.
    """
    section = "control_plane_server"
    found = []
    if server.min_replicas > server.max_replicas:
        paths = (f"{section}.min_replicas", f"{section}.max_replicas")
        reason = f"must not be above max_replicas, which is {server.max_replicas}"
        found.append(Conflict(paths, reason))
    for name, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
        if getattr(server, name) and not getattr(server, other):
            paths = (f"{section}.{other}", f"{section}.{name}")
            found.append(Conflict(paths, f"is not set, while {name} is; set both"))
    return tuple(found)


def _overlap(one: str, other: str) -> bool:
    """
    Tell whether two bind addresses have an address in common. The wildcard of IPv6
    takes IPv4 as well.
    """
    addresses = (ip_address(one), ip_address(other))
    if addresses[0] == addresses[1]:
        return True
    return any(
        a.is_unspecified and (a.version == 6 or b.version == 4)
        for a, b in (addresses, addresses[::-1])
    )


def _storage(storage: StorageConfig) -> Iterator[Conflict]:
    paths = ("storage.endpoint", "storage.type")
    if storage.type == "local":
        if not storage.endpoint or not Path(storage.endpoint).is_dir():
            yield Conflict(paths, "expected an existing directory, since type is local")
    elif not storage.endpoint:
        yield Conflict(
            paths,
            "is not set; say where the store is, such as http://127.0.0.1:9001 "
            "(or ELIOP2P_STORAGE_ENDPOINT, or --storage-endpoint)",
        )
    else:
        try:
            parse_endpoint(storage.endpoint, ("http", "https"))
        except ValueError as error:
            yield Conflict(paths, str(error))
    if storage.ca_file and not Path(storage.ca_file).is_file():
        yield Conflict(("storage.ca_file",), "expected an existing PEM file")


def _authorisation(proxy: ProxyConfig, storage: StorageConfig) -> Iterator[Conflict]:
    """
    Find ways to tell who may read that do not fit the store or each other.
    """
    verify, passthrough = proxy.auth == "verify", proxy.auth == "passthrough"
    if verify and not proxy.credentials_file:
        yield Conflict(
            ("proxy.credentials_file", "proxy.auth"),
            "is not set; auth = verify needs the file with the clients' keys",
        )
    if not verify and proxy.credentials_file:
        yield Conflict(
            ("proxy.credentials_file", "proxy.auth"),
            f"is read with auth = verify only; auth is {proxy.auth}",
        )
    if not passthrough and proxy.stale_if_error_seconds:
        yield Conflict(
            ("proxy.stale_if_error_seconds", "proxy.auth"),
            f"is about auth = passthrough; auth is {proxy.auth}",
        )
    if verify and storage.type == "local":
        yield Conflict(
            ("proxy.auth", "storage.type"),
            "a store of type local takes no signatures; expected passthrough or open",
        )
    owns = storage.secret_key is not None or storage.credentials == "chain"
    if proxy.allowed_hosts and not passthrough and owns:
        yield Conflict(
            ("proxy.allowed_hosts", "proxy.auth"),
            "are stores that clients reach under their own names; the node's own "
            f"credentials, which auth = {proxy.auth} uses, are for that of [storage]",
        )
    yield from _own_credentials(proxy, storage)


def _own_credentials(proxy: ProxyConfig, storage: StorageConfig) -> Iterator[Conflict]:
    key, secret = bool(storage.access_key), storage.secret_key is not None
    if key != secret:
        missing, other = ("secret_key", "access_key")[:: 1 if key else -1]
        yield Conflict(
            (f"storage.{missing}", f"storage.{other}"),
            f"is not set, and {other} is; set both or none",
        )
    if storage.session_token is not None and not key:
        yield Conflict(
            ("storage.session_token", "storage.access_key"),
            "belongs to an access_key, which is not set",
        )
    owns = key or storage.credentials == "chain"
    if owns and proxy.auth == "passthrough":
        path = "storage.access_key" if key else "storage.credentials"
        yield Conflict(
            (path, "proxy.auth"),
            "is used with auth = verify or open only; auth is passthrough",
        )
    if proxy.auth == "verify" and not owns:
        yield Conflict(
            ("storage.access_key", "storage.credentials", "proxy.auth"),
            "is not set; auth = verify needs credentials of the node's own, these or "
            "credentials = chain",
        )
    if storage.credentials == "chain":
        yield from _chain(storage)


def _chain(storage: StorageConfig) -> Iterator[Conflict]:
    if storage.access_key:
        yield Conflict(
            ("storage.credentials", "storage.access_key"),
            "chain finds credentials by itself; remove access_key or set static",
        )
    if storage.type != "s3":
        yield Conflict(
            ("storage.credentials", "storage.type"),
            f"chain is AWS's; a store of type {storage.type} takes static ones",
        )


def read_private_file(path: Path, limit: int = MAX_SECRET_FILE) -> str:
    """
    Read a text that only its owner and group may see.

    Args:
        path: The file.
        limit: How many bytes it may have.

    Raises:
        ValueError: The file cannot be used; the text says why and what to do.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("is not a file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ValueError("is open to every user of the machine; chmod 600 it")
    if len(data) > limit:
        raise ValueError(f"is longer than {limit} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


def read_secret_file(path: Path) -> Secret:
    """
    Read a secret from a file, without the line end after it.

    Raises:
        ValueError: The file cannot be used; the text says why and what to do.
    """
    text = read_private_file(path).rstrip("\r\n")
    if not text or "\n" in text:
        raise ValueError("expected one line with the secret and nothing else")
    return Secret(text)


def read_clients_file(path: Path) -> Clients:
    """
    Read a credentials file.

    Raises:
        ValueError: The file cannot be used; the text says why and what to do.
    """
    return parse_clients(read_private_file(path, MAX_CLIENTS_FILE))
