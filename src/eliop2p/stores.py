"""
The stores of a node, made from its configuration.
"""

from twisted.internet.interfaces import IReactorTime

from eliop2p.base.config import NodeConfig
from eliop2p.base.config_kinds import Endpoint
from eliop2p.interfaces import INetwork, IOrigin, IWorker
from eliop2p.model.store import StoreAddress, Stores, is_address
from eliop2p.net.store_budget import StoreBudget
from eliop2p.storage.by_host import OriginsByHost
from eliop2p.storage.http_origin import HttpOrigin
from eliop2p.storage.local import LocalOrigin
from eliop2p.storage.own_name import under_own_name


def _describe(
    where: Endpoint,
    domains: tuple[str, ...] = (),
    aliases: tuple[tuple[str, str], ...] = (),
    *,
    guarded: bool,
) -> StoreAddress:
    return StoreAddress(
        where.url.lower().encode(),
        where.host.lower(),
        where.port,
        where.scheme == "https",
        domains,
        guarded,
        aliases,
    )


def _is_trusted(where: Endpoint) -> bool:
    """
    Tell whether a store may be at an internal address: not one that is allowed by a
    name alone, which somebody else may let lead anywhere.
    """
    return is_address(where.host) or where.host == "localhost"


def make_budget(config: NodeConfig, clock: IReactorTime) -> StoreBudget:
    """
    Make the budget that all stores share.
    """
    limits, chunk_size = config.limits, config.cache.chunk_size
    return StoreBudget(clock, limits.origin_rate, limits.origin_requests, chunk_size)


def make_stores(
    config: NodeConfig, network: INetwork, worker: IWorker, clock: IReactorTime
) -> tuple[IOrigin, Stores]:
    """
    Make the way to the stores, and the list of them.
    """
    storage = config.storage

    def connect(store: StoreAddress, where: Endpoint) -> HttpOrigin:
        return HttpOrigin(
            where.url,
            network,
            clock,
            guarded=store.guarded,
            max_connections=storage.max_connections,
            connect_timeout=storage.connect_timeout_sec,
            read_timeout=storage.read_timeout_sec,
        )

    main: IOrigin
    if storage.address is None:
        main = LocalOrigin(storage.endpoint, worker, clock)
        address = StoreAddress(main.name, domains=storage.domains)
    else:
        names = storage.domains, storage.custom_hosts
        address = _describe(storage.address, *names, guarded=False)
        direct = connect(address, storage.address)
        main = under_own_name(direct, storage, worker, clock)
    others = {
        _describe(where, guarded=not _is_trusted(where)): where
        for where in config.proxy.allowed_hosts
        if where != storage.address
    }
    stores = Stores(address, tuple(others))
    if not others:
        return main, stores
    origins = {store.name: connect(store, where) for store, where in others.items()}
    return OriginsByHost(stores, {address.name: main, **origins}), stores
