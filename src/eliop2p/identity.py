"""
Who a node is, kept across restarts.
"""

import os
import random
import re
import socket
from pathlib import Path

from eliop2p.base.config import NodeConfig
from eliop2p.base.config_kinds import NAME
from eliop2p.base.errors import StartError
from eliop2p.model.peer import PeerInfo
from eliop2p.net.address import is_any, is_loopback, own_address

_ODD = re.compile(r"[^A-Za-z0-9.-]+")


def usable_directory(path: str, setting: str) -> Path:
    """
    Make a directory if it is not there, and see that it can be written to.

    Args:
        path: The directory.
        setting: The section and key that choose it.

    Raises:
        StartError: It cannot be used.
    """
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"cannot use {path}: {error.strerror}; choose another with {setting}"
        ) from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise StartError(
            f"cannot write to {path}; change its owner or choose another with {setting}"
        )
    return directory


def node_name(config: NodeConfig, directory: Path, rng: random.Random) -> str:
    """
    Give the configured name, or the one made up at the first start.

    Raises:
        StartError: The name cannot be kept.
    """
    if config.general.node_id:
        return config.general.node_id
    kept = directory / "node_id"
    try:
        if kept.exists() and (name := _readable_name(kept.read_bytes())):
            return name
        host = _ODD.sub("-", socket.gethostname()).strip("-.")[:57] or "node"
        name = f"{host}-{rng.getrandbits(24):06x}"
        kept.write_text(f"{name}\n")
    except OSError as error:
        raise StartError(
            f"cannot keep the node's name in {kept}: {error.strerror}; "
            "set [general] node_id"
        ) from error
    return name


def _readable_name(data: bytes) -> str:
    """
    Read the name that an earlier run kept; empty when that is damaged.
    """
    try:
        return NAME.parse(data.decode("ascii").strip())
    except ValueError:
        return ""


def p2p_address(config: NodeConfig) -> str:
    """
    Give the address on which peers are served: without a secret, which is all that
    tells a peer from anybody else, only this machine's own.
    """
    if config.p2p.cluster_secret is None:
        return "127.0.0.1"
    return config.general.bind_address


def describe_node(config: NodeConfig, name: str) -> PeerInfo:
    """
    Say what the other members are to know of this node.
    """
    host = config.general.advertise_address
    bound = p2p_address(config)
    others = [(place.host, place.port) for place in config.control_plane.addresses]
    others += config.p2p.seeds
    if not host and (is_loopback(bound) or not others):
        host = "127.0.0.1" if is_any(bound) else bound
    elif not host:
        host = own_address(*others[0]) if is_any(bound) else bound
    return PeerInfo(
        name,
        host,
        config.p2p.listen_port,
        config.proxy.listen_port,
        config.general.zone,
    )
