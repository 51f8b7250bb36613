"""
Under whose name, and by which names, the store is asked.
"""

from twisted.internet.interfaces import IReactorTime

from eliop2p.base.config_kinds import Endpoint
from eliop2p.base.config_sections import StorageConfig
from eliop2p.interfaces import IOrigin, IWorker
from eliop2p.signing.own import Keys, oss_signer, s3_signer
from eliop2p.storage.hosted_origin import HostedOrigin
from eliop2p.storage.keys import ChainKeys, IKeySource, StaticKeys, look
from eliop2p.storage.signed_origin import SignedOrigin


def under_own_name(
    origin: IOrigin, storage: StorageConfig, worker: IWorker, clock: IReactorTime
) -> IOrigin:
    """
    Have a store asked under the node's own name if it has one, and name buckets as the
    store wants them named.

    Args:
        origin: The store, asked with what it is given.
        storage: Which it is.
        worker: Looks for credentials.
        clock: Time.
    """
    where = storage.address
    if where is None:
        return origin
    host, region = host_of(where), storage.region
    if storage.type == "oss":
        origin = HostedOrigin(origin, host)
    source = _keys(storage, worker, clock)
    if source is None:
        return origin
    sign = oss_signer(region) if storage.type == "oss" else s3_signer(host, region)
    return SignedOrigin(origin, sign, source, clock.seconds)


def host_of(where: Endpoint) -> bytes:
    """
    Give the Host of an endpoint, its port left out where it is the usual.
    """
    usual = {"http": 80, "https": 443}[where.scheme]
    _, _, address = where.url.partition("://")
    return address.removesuffix(f":{usual}").encode()


def _keys(
    storage: StorageConfig, worker: IWorker, clock: IReactorTime
) -> IKeySource | None:
    if storage.credentials == "chain":
        return ChainKeys(worker, clock.seconds, look())
    if storage.secret_key is None:
        return None
    return StaticKeys(
        Keys(storage.access_key, storage.secret_key, storage.session_token)
    )
