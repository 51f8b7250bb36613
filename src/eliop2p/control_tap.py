"""
The command line of the control plane: ``twist eliop2p-control``.
"""

import os
from typing import ClassVar

from twisted.application.service import IService
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.usage import UsageError

from eliop2p.base.config import ControlConfig, load_control_config
from eliop2p.base.config_flags import CONFIG_FLAG
from eliop2p.base.config_keys import BY_PATH
from eliop2p.base.errors import ConfigError
from eliop2p.base.runner_log import logged_service
from eliop2p.control.server_service import build_control
from eliop2p.launch import PluginOptions, ThreadedService
from eliop2p.net.network import ReactorNetwork
from eliop2p.net.worker import ThreadWorker

_FLAGS = {
    "listen-port": "control_plane_server.listen_port",
    "bind-address": "control_plane_server.bind_address",
    "heartbeat-timeout-sec": "control_plane_server.heartbeat_timeout_sec",
    "database": "control_plane_server.database",
    "token-file": "control_plane.token_file",
    "data-dir": "general.data_dir",
    "log-level": "general.log_level",
    "log-format": "general.log_format",
}


class Options(PluginOptions):
    """
    Flags of the control plane: the configuration file and what is most often set.
    """

    synopsis = "[--config control.ini] [flags]"
    optParameters: ClassVar[list[list[str | None]]] = [
        CONFIG_FLAG,
        *([flag, None, None, BY_PATH[path].help] for flag, path in _FLAGS.items()),
    ]

    config: ControlConfig

    def postOptions(self) -> None:
        """
        Read and check the configuration.

        Raises:
            UsageError: Something in it is wrong; the text lists everything.
        """
        flags = {
            path: text
            for flag, path in _FLAGS.items()
            if (text := self[flag]) is not None
        }
        try:
            self.config = load_control_config(self["config"], os.environ, flags)
        except ConfigError as error:
            raise UsageError(f"the configuration cannot be used:\n{error}") from error


def makeService(options: Options) -> IService:
    """
    Make the service of a control plane.
    """
    # The only place where the control plane takes the process's reactor.
    from twisted.internet import reactor  # noqa: PLC0415, TID251

    config = options.config
    top = logged_service(options, config.log_level, config.log_format)
    # One thread: SQLite's connection takes one call at a time.
    worker = ThreadWorker(IReactorFromThreads(reactor), "control-database", 1)
    control = build_control(config, ReactorNetwork(reactor), reactor, worker)
    ThreadedService("eliop2p-control", control, worker).setServiceParent(top)
    return top
