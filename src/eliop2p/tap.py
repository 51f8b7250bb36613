"""
The command line of a node: ``twist eliop2p`` and ``twistd eliop2p``.
"""

import os
import random
import resource
import sys
from typing import ClassVar

from twisted.application.service import IService
from twisted.internet.interfaces import (
    IReactorFDSet,
    IReactorFromThreads,
    IReactorProcess,
    IReactorTime,
)
from twisted.python.usage import UsageError
from twisted.web.client import Agent, HTTPConnectionPool

from eliop2p.base.config import NodeConfig, load_node_config
from eliop2p.base.config_flags import flag_parameters, given_flags
from eliop2p.base.errors import ConfigError, StartError
from eliop2p.base.metrics import SECONDS
from eliop2p.base.runner_log import logged_service
from eliop2p.launch import PluginOptions, ThreadedService, start_failure
from eliop2p.net.network import ReactorNetwork
from eliop2p.net.sender import make_sender
from eliop2p.net.tls import trusting_policy
from eliop2p.net.worker import ThreadWorker
from eliop2p.node import Node
from eliop2p.parts import Surroundings
from eliop2p.workers.pool import Workers, spawn_with
from eliop2p.workers.sender import carried_by

_SECTIONS = (
    *("general", "proxy", "cache", "p2p"),
    *("control_plane", "storage", "limits", "admin"),
)


class Options(PluginOptions):
    """
    Flags of a node: the configuration file, and one for each key.
    """

    synopsis = "[--config node.ini] [flags]"
    optParameters: ClassVar[list[list[str | None]]] = flag_parameters(_SECTIONS)

    config: NodeConfig

    def postOptions(self) -> None:
        """
        Read and check the configuration.

        Raises:
            UsageError: Something in it is wrong; the text lists everything.
        """
        try:
            self.config = load_node_config(
                self["config"], os.environ, given_flags(self)
            )
        except ConfigError as error:
            raise UsageError(f"the configuration cannot be used:\n{error}") from error


def _allow_descriptors() -> None:
    """
    Let the process have as many open as it may: each client takes two.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


THREADS = 8
"""
Disk and hashing: what blocks at one time.
"""


def _make_workers(count: int, reactor: object) -> Workers | None:
    """
    Make the processes that send besides the node.

    Raises:
        StartError: The platform has no way to give sockets to them.
    """
    if count == 1:
        return None
    if sys.platform != "linux":
        raise StartError(
            f"[proxy] workers = {count} needs Linux, and this is {sys.platform}: "
            "set it to 1"
        )
    spawn = spawn_with(IReactorProcess(reactor))
    descriptors, clock = IReactorFDSet(reactor), IReactorTime(reactor)
    return Workers(count - 1, spawn, descriptors, clock, bounds=SECONDS)


def makeService(options: Options) -> IService:
    """
    Make the service of a node.

    Raises:
        SystemExit: A directory cannot be used.
    """
    # The only place where a node takes the process's reactor and randomness.
    from twisted.internet import reactor  # noqa: PLC0415, TID251

    config = options.config
    _allow_descriptors()
    top = logged_service(options, config.general.log_level, config.general.log_format)
    assert IReactorFromThreads.providedBy(reactor)
    worker = ThreadWorker(reactor, "eliop2p", THREADS)
    try:
        policy = trusting_policy(
            config.control_plane.ca_file, "[control_plane] ca_file"
        )
        workers = _make_workers(config.proxy.workers, reactor)
        node = Node(
            config,
            Surroundings(
                clock=reactor,
                network=ReactorNetwork(reactor, ca_file=config.storage.ca_file),
                worker=worker,
                agent=Agent(reactor, policy, pool=HTTPConnectionPool(reactor)),
                make_sender=carried_by(
                    workers, lambda transport: make_sender(transport, reactor)
                ),
                rng=random.SystemRandom(),
                nonce=lambda: os.urandom(32),
                workers=workers,
            ),
        )
    except StartError as error:
        raise start_failure("eliop2p", error) from error
    ThreadedService("eliop2p", node, worker).setServiceParent(top)
    return top
