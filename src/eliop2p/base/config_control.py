"""
The sections of the configuration that are about the control plane.
"""

import attrs

from eliop2p.base import config_kinds as kinds
from eliop2p.base.config_declare import declare
from eliop2p.base.config_kinds import Endpoint
from eliop2p.base.secret import Secret


@attrs.frozen(kw_only=True)
class ControlPlaneConfig:
    """
    The control plane that a node is a member of.

    ``token`` also holds what was in ``token_file``.
    """

    endpoint: str = declare(
        kinds.CONTROL_ENDPOINT,
        "",
        "Where the control plane is; a node without one serves alone.",
        short="control-plane",
    )
    port: int = declare(
        kinds.REMOTE_PORT,
        "8081",
        "Port of the control plane when endpoint names none.",
        unit="TCP port",
    )
    heartbeat_interval_sec: float = declare(
        kinds.decimal(0, 3600), "3", "Time between heartbeats.", unit="seconds"
    )
    token: Secret | None = declare(  # noqa: RUF009  a field, not its value
        kinds.SECRET, "", "What a node shows to the control plane to be let in."
    )
    token_file: str = declare(
        kinds.FILE, "", "File with the token, unreadable to others."
    )
    ca_file: str = declare(
        kinds.FILE,
        "",
        "PEM file with the authorities to trust for an https:// or etcd+https:// "
        "endpoint; the system's if empty.",
    )

    @property
    def is_etcd(self) -> bool:
        """
        Whether the control plane is an etcd cluster.
        """
        return kinds.is_etcd(self.endpoint)

    @property
    def addresses(self) -> tuple[Endpoint, ...]:
        """
        Where the control plane is: several places for a cluster of etcd, none when
        there is none.
        """
        if not self.endpoint:
            return ()
        return kinds.parse_control_endpoints(self.endpoint, self.port)

    @property
    def url(self) -> str:
        """
        The control plane as people write it, empty when there is none.
        """
        if self.is_etcd:
            return self.endpoint
        return self.addresses[0].url if self.endpoint else ""


@attrs.frozen(kw_only=True)
class ControlPlaneServerConfig:
    """
    The embedded control plane itself.

    ``admin_token`` also holds what was in ``admin_token_file``.
    """

    listen_port: int = declare(kinds.PORT, "8081", "Port for nodes.", unit="TCP port")
    bind_address: str = declare(
        kinds.BIND_ADDRESS, "{general.bind_address}", "Address for nodes."
    )
    heartbeat_timeout: float = declare(
        kinds.decimal(0, 3600),
        "10",
        "Silence after which a node counts as dead.",
        unit="seconds",
        name="heartbeat_timeout_sec",
    )
    database: str = declare(
        kinds.DIRECTORY, "{general.data_dir}/control.db", "File that holds the state."
    )
    min_replicas: int = declare(
        kinds.integer(1, 64),
        "1",
        "Nodes that hold a cold chunk, until operators say otherwise.",
    )
    max_replicas: int = declare(
        kinds.integer(1, 64),
        "5",
        "Nodes that hold a hot chunk, until operators say otherwise.",
    )
    admin_token: Secret | None = declare(  # noqa: RUF009  a field, not its value
        kinds.SECRET,
        "",
        "What operators show to change the replication; the token of nodes if empty.",
    )
    admin_token_file: str = declare(
        kinds.FILE, "", "File with the operators' token, unreadable to others."
    )
    tls_certificate: str = declare(
        kinds.FILE,
        "",
        "PEM file with the certificate to serve https with; plain http if empty.",
    )
    tls_key: str = declare(
        kinds.FILE, "", "PEM file with the private key of that certificate."
    )
