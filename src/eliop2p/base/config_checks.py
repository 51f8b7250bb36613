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


def read_secret_file(path: Path) -> Secret:
    """
    Read a secret from a file, without the line end after it.

    Raises:
        ValueError: The file cannot be used; the text says why and what to do.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("is not a file")
        with path.open("rb") as file:
            data = file.read(MAX_SECRET_FILE + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ValueError("is open to every user of the machine; chmod 600 it")
    if len(data) > MAX_SECRET_FILE:
        raise ValueError(f"is longer than {MAX_SECRET_FILE} bytes")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if not text or "\n" in text:
        raise ValueError("expected one line with the secret and nothing else")
    return Secret(text)
