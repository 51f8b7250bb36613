"""
Ceph's object gateway over a monitor and one storage daemon that keeps all in memory.
"""

import json
import uuid
from pathlib import Path

from eliop2p.cli.local_cluster import free_ports
from tests.functional.stores.daemons import Daemons, StoreFailed, answers
from tests.functional.stores.store import Credentials, RealStore

PROGRAMS = ("ceph-mon", "ceph-osd", "monmaptool", "ceph", "radosgw", "radosgw-admin")
PACKAGES = "radosgw ceph-mon ceph-osd ceph-common ceph-base"

ALICE = Credentials("AKALICE0000000000000", "alice+secret/alice+secret/alice+secret00")
BOB = Credentials("AKBOB000000000000000", "bob+secret/bob+secret/bob+secret/bob+sec")

_CONFIG = """\
[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 1
run dir = {directory}
log file = {directory}/$name.log
pid file = {directory}/$name.pid
admin socket = {directory}/$name.asok
crash dir = {directory}/crash
[mon]
mon data = {directory}/mon
auth allow insecure global id reclaim = false
[osd]
osd data = {directory}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd memory target = 1073741824
[client.rgw]
rgw data = {directory}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw enable usage log = false
rgw dynamic resharding = false
rgw thread pool size = 64
rgw crypt require ssl = false
# Deleted parts would stay for two hours and fill the memory, and then writes hang.
rgw gc obj min wait = 10
rgw gc processor period = 10
rgw gc processor max time = 10
# The gateway asks for encrypted messages to the monitor, impossible without keys.
ms mon client mode = crc
{more}
"""


def _start_cluster(daemons: Daemons, conf: Path, address: str, fsid: str) -> None:
    directory = daemons.directory
    daemons.run(
        *("monmaptool", "--create", "--clobber", "--fsid", fsid),
        *("--addv", "a", address, directory / "monmap"),
    )
    ceph = ("ceph", "-c", conf, "--connect-timeout", "20")
    monitor = ("ceph-mon", "-c", conf, "-i", "a")
    daemons.run(*monitor, "--mkfs", "--monmap", directory / "monmap")
    daemons.start("mon", *monitor, "-f")
    osd_id = str(uuid.uuid4())
    # Waits for the monitor by itself.
    daemons.run(*ceph, "osd", "new", osd_id, "0")
    osd = ("ceph-osd", "-c", conf, "-i", "0")
    daemons.run(*osd, "--mkfs", "--osd-uuid", osd_id)
    daemons.start("osd", *osd, "-f")
    daemons.wait(lambda: "1 up" in daemons.run(*ceph, "osd", "stat"), "the OSD is up")


def _add_user(
    daemons: Daemons, conf: Path, name: str, credentials: Credentials
) -> None:
    told = daemons.run(
        *("radosgw-admin", "-c", conf, "user", "create"),
        *("--uid", name, "--display-name", name.title()),
        *("--access-key", credentials.access_key),
        *("--secret", credentials.secret_key),
    )
    if json.loads(told)["user_id"] != name:
        raise StoreFailed(f"the user is not {name}: {told}")


def start_ceph(daemons: Daemons, dns_name: str = "") -> RealStore:
    """
    Start a gateway; takes some 15 s.

    Args:
        daemons: Holds the processes.
        dns_name: The suffix of virtual-host style names; path style only when empty.

    Raises:
        StoreFailed: It does not start.
    """
    directory = daemons.directory
    for name in ("mon", "osd", "rgw"):
        (directory / name).mkdir()
    port, v2, v1 = free_ports(3)
    fsid = str(uuid.uuid4())
    conf = directory / "ceph.conf"
    more = f"rgw dns name = {dns_name}" if dns_name else ""
    conf.write_text(
        _CONFIG.format(
            fsid=fsid, directory=directory, port=port, v2=v2, v1=v1, more=more
        )
    )
    address = f"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]"
    _start_cluster(daemons, conf, address, fsid)
    daemons.start("rgw", "radosgw", "-c", conf, "-n", "client.rgw", "-f")
    store = RealStore("rgw", port, ALICE, BOB)
    daemons.wait(lambda: answers(store.url), "the gateway answers")
    _add_user(daemons, conf, "alice", ALICE)
    _add_user(daemons, conf, "bob", BOB)
    return store
