"""
The sections of the configuration: each class declares its keys once, as attributes.

:mod:`eliop2p.base.config_keys` reads the table of all keys from these classes.
"""

import attrs

from eliop2p.base import config_kinds as kinds
from eliop2p.base.clients import Clients
from eliop2p.base.config_declare import declare
from eliop2p.base.config_kinds import Endpoint
from eliop2p.base.secret import Secret


@attrs.frozen(kw_only=True)
class GeneralConfig:
    """
    The node as a whole.
    """

    node_id: str = declare(
        kinds.NAME,
        "",
        "Name of this node, unique in the cluster; made from the host name and kept "
        "in data_dir when empty.",
        short="node-id",
    )
    bind_address: str = declare(
        kinds.BIND_ADDRESS,
        "0.0.0.0",  # noqa: S104  a node serves its cluster
        "Address on which the node listens.",
        short="bind-address",
    )
    advertise_address: str = declare(
        kinds.HOST,
        "",
        "Address under which other nodes reach this one; found when empty.",
    )
    zone: str = declare(
        kinds.NAME, "", "Where the node stands; peers nearby come first."
    )
    log_level: str = declare(
        kinds.choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
        "The least severe messages to log.",
        short="log-level",
    )
    log_format: str = declare(
        kinds.choice("text", "json", "auto"),
        "auto",
        "How log lines are written; auto is text on a terminal and JSON elsewhere.",
    )
    data_dir: str = declare(
        kinds.DIRECTORY, "{data_dir}", "Directory for what must survive a restart."
    )


@attrs.frozen(kw_only=True)
class ProxyConfig:
    """
    The HTTP proxy that clients talk to.

    Attributes:
        clients: What was in ``credentials_file``.
    """

    listen_port: int = declare(
        kinds.PORT, "8080", "Port for clients.", unit="TCP port", short="proxy-port"
    )
    bind_address: str = declare(
        kinds.BIND_ADDRESS, "{general.bind_address}", "Address for clients."
    )
    auth: str = declare(
        kinds.choice("passthrough", "verify", "open"),
        "passthrough",
        "Who may read: passthrough asks the store with the client's own request, "
        "verify checks clients against credentials_file, open checks nobody.",
    )
    credentials_file: str = declare(
        kinds.FILE,
        "",
        "File with the clients that verify lets in, unreadable to others; read again "
        "when it changes.",
    )
    freshness_seconds: int = declare(
        kinds.integer(0, 86400),
        "0",
        "How long what the store said of an object is trusted: by verify and open for "
        "every client, by passthrough for the very same signed request; 0 asks it "
        "each time.",
        unit="seconds",
    )
    stale_if_error_seconds: int = declare(
        kinds.integer(0, 86400),
        "0",
        "How long the very same signed request, once granted, is answered from the "
        "cache while the store cannot be reached; passthrough only.",
        unit="seconds",
    )
    max_connections: int = declare(
        kinds.integer(1, 1_000_000), "4096", "Client connections at one time."
    )
    workers: int = declare(
        kinds.integer(1, 64),
        "1",
        "Processes that send to clients, the node itself included; more than one needs "
        "Linux.",
    )
    forward: bool = declare(
        kinds.SWITCH,
        "on",
        "Whether clients may use the node as a forward proxy, and CONNECT through it, "
        "to the stores that it knows.",
    )
    allowed_hosts: tuple[Endpoint, ...] = declare(
        kinds.ENDPOINTS,
        "",
        "Stores besides that of [storage] that clients may reach by their names, each "
        "with all names below it.",
    )
    max_tunnels: int = declare(
        kinds.integer(0, 100_000), "256", "CONNECT tunnels open at one time."
    )
    clients: Clients | None = None


@attrs.frozen(kw_only=True)
class CacheConfig:
    """
    The two tiers of the cache.
    """

    memory_cache_size: int = declare(
        kinds.integer(1, 1 << 30, kinds.MIB),
        "4096",
        "Size of the memory tier.",
        unit="MiB",
        name="memory_cache_size_mb",
    )
    disk_cache_size: int = declare(
        kinds.integer(0, 1 << 30, kinds.MIB),
        "102400",
        "Size of the disk tier; 0 for none.",
        unit="MiB",
        name="disk_cache_size_mb",
    )
    disk_cache_path: str = declare(
        kinds.DIRECTORY, "{general.data_dir}/cache", "Directory of the disk tier."
    )
    min_free: int = declare(
        kinds.integer(0, 1 << 30, kinds.MIB),
        "1024",
        "Space that stays free on the file system of the disk tier.",
        unit="MiB",
        name="min_free_mb",
    )
    scrub_rate: int = declare(
        kinds.integer(0, 1 << 20, kinds.MBIT),
        "80",
        "Rate at which the disk tier is verified in the background; 0 for not at all.",
        unit="Mbit/s",
        name="scrub_mbps",
    )
    chunk_size: int = declare(
        kinds.size_choice(1, 2, 4, 8),
        "8",
        "Size of the pieces in which objects are kept and shared; the same on every "
        "node of a cluster.",
        unit="MiB",
        name="chunk_size_mb",
    )
    memory_backend: str = declare(
        kinds.PLUGIN, "memory", "Plugin that is the memory tier."
    )
    disk_backend: str = declare(
        kinds.PLUGIN, "directory", "Plugin that is the disk tier."
    )
    eviction: str = declare(
        kinds.choice("tinylfu", "wlru", "lru"),
        "tinylfu",
        "Policy that says which chunks a tier gives up.",
    )
    eviction_threshold: float = declare(
        kinds.decimal(0, 1), "0.9", "Part of a tier's size at which eviction begins."
    )
    eviction_target: float = declare(
        kinds.decimal(0, 1), "0.8", "Part of a tier's size down to which it goes."
    )


@attrs.frozen(kw_only=True)
class P2PConfig:
    """
    What nodes do with each other.

    ``cluster_secret`` also holds what was in ``cluster_secret_file``.
    """

    listen_port: int = declare(
        kinds.PORT, "9000", "Port for peers.", unit="TCP port", short="p2p-port"
    )
    selection_k: int = declare(
        kinds.integer(1, 10), "5", "How many peers are considered for a chunk."
    )
    selection: str = declare(
        kinds.PLUGIN,
        "fastest",
        "Policy that says which of them is asked first: fastest, nearest, rarest, or a "
        "plugin.",
    )
    max_peers: int = declare(
        kinds.integer(1, 10_000), "50", "Connections to peers kept at one time."
    )
    upload_slots: int = declare(
        kinds.integer(1, 1024), "16", "Chunks sent to peers at one time."
    )
    max_upload: int = declare(
        kinds.integer(0, 1 << 20, kinds.MBIT),
        "0",
        "Rate at which chunks are sent to peers, all together; 0 for no limit.",
        unit="Mbit/s",
        name="max_upload_mbps",
    )
    max_download: int = declare(
        kinds.integer(0, 1 << 20, kinds.MBIT),
        "0",
        "Rate at which chunks are taken from peers, all together; 0 for no limit.",
        unit="Mbit/s",
        name="max_download_mbps",
    )
    cluster_secret: Secret | None = declare(  # noqa: RUF009  a field, not its value
        kinds.SECRET, "", "What nodes of a cluster prove to each other that they know."
    )
    cluster_secret_file: str = declare(
        kinds.FILE, "", "File with the cluster secret, unreadable to others."
    )
    seeds: tuple[tuple[str, int], ...] = declare(
        kinds.SEEDS,
        "",
        "Peers to learn the other members from when there is no control plane.",
    )


@attrs.frozen(kw_only=True)
class StorageConfig:
    """
    The object store.
    """

    type: str = declare(
        kinds.choice("s3", "oss", "local"),
        "s3",
        "What the store is: s3 for a server that speaks S3, oss for Alibaba Cloud OSS, "
        "local for a directory.",
    )
    endpoint: str = declare(
        kinds.TEXT,
        "",
        "Where the store is: http(s)://host[:port] for s3 and oss, a directory for "
        "local.",
        short="storage-endpoint",
    )
    region: str = declare(
        kinds.NAME, "us-east-1", "Region for which the node and its clients sign."
    )
    credentials: str = declare(
        kinds.choice("static", "chain"),
        "static",
        "Where the node's own credentials come from, with verify and open: static is "
        "access_key, chain what AWS's SDKs look through (environment, profile, "
        "instance or container role).",
    )
    access_key: str = declare(
        kinds.TEXT, "", "The node's own access key at the store; none if empty."
    )
    secret_key: Secret | None = declare(  # noqa: RUF009  a field, not its value
        kinds.SECRET, "", "The secret of access_key."
    )
    secret_key_file: str = declare(
        kinds.FILE, "", "File with the secret, unreadable to others."
    )
    session_token: Secret | None = declare(  # noqa: RUF009  a field, not its value
        kinds.SECRET, "", "What goes with a temporary access_key."
    )
    domains: tuple[str, ...] = declare(
        kinds.DOMAINS,
        "",
        "Further names under which clients know the store; below one of them a host "
        "name begins with a bucket.",
    )
    custom_hosts: tuple[tuple[str, str], ...] = declare(
        kinds.CUSTOM_HOSTS,
        "",
        "Names under which clients know one bucket of the store (a CNAME), each with "
        "that bucket.",
    )
    max_connections: int = declare(
        kinds.integer(1, 10_000), "64", "Connections to a store at one time."
    )
    connect_timeout_sec: float = declare(
        kinds.decimal(0, 3600), "5", "Time to connect to the store.", unit="seconds"
    )
    read_timeout_sec: float = declare(
        kinds.decimal(0, 3600), "30", "Silence of the store to bear.", unit="seconds"
    )
    ca_file: str = declare(
        kinds.FILE, "", "PEM file with the authorities to trust; the system's if empty."
    )

    @property
    def address(self) -> Endpoint | None:
        """
        Where the store is, None when it is a directory.
        """
        if self.type == "local":
            return None
        return kinds.parse_endpoint(self.endpoint, ("http", "https"))


@attrs.frozen(kw_only=True)
class LimitsConfig:
    """
    Bounds on what the node takes.
    """

    inflight_memory: int = declare(
        kinds.integer(1, 1 << 30, kinds.MIB),
        "512",
        "Memory for chunks that are arriving.",
        unit="MiB",
        name="inflight_memory_mb",
    )
    origin_rate: int = declare(
        kinds.integer(0, 1 << 20, kinds.MBIT),
        "0",
        "Rate at which the whole cluster reads the store; 0 for no limit; the same on "
        "every node.",
        unit="Mbit/s",
        name="origin_mbps",
    )
    origin_requests: int = declare(
        kinds.integer(0, 1_000_000),
        "0",
        "Requests that the whole cluster sends to the store each second; 0 for no "
        "limit; the same on every node.",
        name="origin_requests_per_sec",
    )
    adjust_rate: int = declare(
        kinds.integer(1, 1 << 20, kinds.MBIT),
        "800",
        "Rate at which replicas are made when the cluster wants more.",
        unit="Mbit/s",
        name="adjust_mbps",
    )


@attrs.frozen(kw_only=True)
class AdminConfig:
    """
    Health, metrics and the API of the command line.

    Attributes:
        token: What was in ``token_file``.
    """

    listen_port: int = declare(
        kinds.PORT, "8082", "Port for operators.", unit="TCP port"
    )
    bind_address: str = declare(
        kinds.BIND_ADDRESS, "127.0.0.1", "Address for operators."
    )
    token_file: str = declare(
        kinds.FILE, "", "File with the token that operators must show; none if empty."
    )
    explain_requests: int = declare(
        kinds.integer(0, 10_000),
        "10000",
        "How many of the last requests `eliop2p explain` knows; 0 to note none.",
    )
    token: Secret | None = None


@attrs.frozen(kw_only=True)
class TracingConfig:
    """
    Traces of how requests are answered.
    """

    endpoint: Endpoint | None = declare(  # noqa: RUF009  a field, not its value
        kinds.COLLECTOR,
        "",
        "Where traces go, to a collector that takes OTLP over HTTP; nowhere if empty. "
        "Needs eliop2p[otel].",
    )
    sample_ratio: float = declare(
        kinds.decimal(0, 1),
        "1",
        "Part of the requests that are traced, of those whose client has not decided.",
    )
