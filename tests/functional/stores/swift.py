"""
OpenStack Swift with its S3 interface: a proxy, one server of each kind, one disk.
"""

import getpass
import os
from pathlib import Path

from eliop2p.cli.local_cluster import free_ports
from tests.functional.stores.daemons import Daemons, answers
from tests.functional.stores.store import REGION, Credentials, RealStore

_KINDS = ("account", "container", "object")

PROGRAMS = (
    "swift-ring-builder",
    "swift-proxy-server",
    *(f"swift-{kind}-server" for kind in _KINDS),
    "memcached",
)
PACKAGES = (
    "python3-swift swift-proxy swift-account swift-container swift-object memcached"
)

ALICE = Credentials("test:alice", "alice-secret-alice-secret")
BOB = Credentials("other:bob", "bob-secret-bob-secret")

_HASH = """\
[swift-hash]
swift_hash_path_prefix = eliop2p
swift_hash_path_suffix = tests
[storage-policy:0]
name = single
default = yes
[swift-constraints]
max_header_size = 16384
"""

_BACKEND = """\
[DEFAULT]
devices = {directory}/devices
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {directory}
log_level = WARNING
recon_cache_path = {directory}
fallocate_reserve = 0
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
allow_versions = on
"""

_PROXY = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {directory}
log_level = WARNING
[pipeline:main]
pipeline = {pipeline}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
node_timeout = 60
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
s3_acl = true
location = {region}
dns_compliant_bucket_names = true
check_bucket_owner = true
auth_pipeline_check = false
allow_multipart_uploads = true
[filter:tempauth]
use = egg:swift#tempauth
{users}
[filter:copy]
use = egg:swift#copy
[filter:dlo]
use = egg:swift#dlo
[filter:slo]
use = egg:swift#slo
minimum_segment_size = 1
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""

_PIPELINE = (
    "catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth copy "
    "dlo slo versioned_writes symlink proxy-server"
)


def takes_attributes(directory: Path) -> bool:
    """
    Tell whether the file system takes extended attributes, as the object server needs.
    """
    probe = directory / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift.probe", b"1")
    except OSError:
        return False
    finally:
        probe.unlink()
    return True


def _user_line(credentials: Credentials) -> str:
    account, _, user = credentials.access_key.partition(":")
    return f"user_{account}_{user} = {credentials.secret_key} .admin"


def _start_backend(daemons: Daemons, kind: str, port: int) -> None:
    directory = daemons.directory
    builder = f"{kind}.builder"
    daemons.run("swift-ring-builder", builder, "create", "4", "1", "1")
    device = f"r1z1-127.0.0.1:{port}/disk"
    daemons.run("swift-ring-builder", builder, "add", device, "1")
    daemons.run("swift-ring-builder", builder, "rebalance")
    conf = directory / f"{kind}-server.conf"
    conf.write_text(
        _BACKEND.format(
            directory=directory, port=port, kind=kind, user=getpass.getuser()
        )
    )
    daemons.start(kind, f"swift-{kind}-server", conf)


def start_swift(daemons: Daemons) -> RealStore:
    """
    Start a Swift; takes some 10 s.

    Raises:
        StoreFailed: It does not start.
    """
    directory, user = daemons.directory, getpass.getuser()
    (directory / "devices" / "disk").mkdir(parents=True)
    (directory / "swift.conf").write_text(_HASH)
    (directory / "container-sync-realms.conf").write_text("")
    port, memcached, *ports = free_ports(2 + len(_KINDS))
    daemons.start(
        "memcached",
        *("memcached", "-l", "127.0.0.1", "-p", str(memcached), "-m", "64"),
        *("-u", user),
    )
    for kind, each in zip(_KINDS, ports, strict=True):
        _start_backend(daemons, kind, each)
    conf = directory / "proxy-server.conf"
    conf.write_text(
        _PROXY.format(
            port=port,
            user=user,
            directory=directory,
            pipeline=_PIPELINE,
            memcached=memcached,
            region=REGION,
            users="\n".join(map(_user_line, (ALICE, BOB))),
        )
    )
    daemons.start("proxy", "swift-proxy-server", conf)
    store = RealStore("swift", port, ALICE, BOB)
    daemons.wait(lambda: answers(f"{store.url}/healthcheck"), "Swift answers")
    return store
