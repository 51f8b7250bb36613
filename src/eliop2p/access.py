"""
Who may read: the parts of a node that ``[proxy] auth`` chooses.
"""

from collections.abc import Callable
from pathlib import Path

from twisted.internet.interfaces import IReactorTime

from eliop2p.base.clients import Clients
from eliop2p.base.config import NodeConfig
from eliop2p.base.config_checks import read_clients_file
from eliop2p.base.metrics import Metrics
from eliop2p.interfaces import IWorker
from eliop2p.proxy.clients_watch import ClientsWatch
from eliop2p.proxy.gate import Gate, NobodyChecks, NodeChecks, OssDecides, StoreDecides
from eliop2p.proxy.trust import Trust, node_authority, request_authority
from eliop2p.signing.admission import verifiers


def watch_clients(
    config: NodeConfig, worker: IWorker, clock: IReactorTime
) -> ClientsWatch | None:
    """
    Make what knows the clients, None when nobody need be known.
    """
    proxy = config.proxy
    if proxy.auth != "verify":
        return None
    known = proxy.clients or {}
    path = Path(proxy.credentials_file)
    return ClientsWatch(path, known, read_clients_file, worker, clock)


def make_gate(
    config: NodeConfig,
    store: bytes,
    clients: Callable[[], Clients],
    now: Callable[[], float],
) -> Gate:
    """
    Make what lets clients in.

    Args:
        config: The node's.
        store: The name of the store in ``[storage]``.
        clients: Gives those who are known.
        now: Seconds since the epoch.
    """
    storage = config.storage
    if config.proxy.auth == "verify":
        return NodeChecks(clients, verifiers(storage.type, storage.region), now)
    owns = storage.credentials == "chain" or storage.secret_key is not None
    if config.proxy.auth == "open" and owns:
        return NobodyChecks()
    if storage.type == "oss":
        return OssDecides(store)
    return StoreDecides()


def make_trust(config: NodeConfig, now: Callable[[], float], metrics: Metrics) -> Trust:
    """
    Make what knows how long the store's word counts, and for whom.
    """
    proxy = config.proxy
    passes = proxy.auth == "passthrough"
    return Trust(
        request_authority if passes else node_authority,
        now,
        metrics,
        fresh=proxy.freshness_seconds,
        stale=proxy.stale_if_error_seconds,
        outlives=proxy.auth == "open",
    )
