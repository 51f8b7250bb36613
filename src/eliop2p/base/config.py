"""
The configuration: read from defaults, a file, the environment and the command line, in
that order, later ones winning, and checked as a whole.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import attrs

from eliop2p.base import config_checks as checks
from eliop2p.base.clients import Clients
from eliop2p.base.config_control import ControlPlaneConfig, ControlPlaneServerConfig
from eliop2p.base.config_keys import BY_PATH, KEYS, Key, build_section
from eliop2p.base.config_sections import (
    AdminConfig,
    CacheConfig,
    GeneralConfig,
    LimitsConfig,
    P2PConfig,
    ProxyConfig,
    StorageConfig,
    TracingConfig,
)
from eliop2p.base.config_sources import (
    Given,
    Problems,
    read_environment,
    read_file,
    read_flags,
    shown,
)
from eliop2p.base.errors import ConfigError
from eliop2p.base.secret import Secret

SYSTEM_DATA_DIR = Path("/var/lib/eliop2p")

_REFERENCE = re.compile(r"\{([a-z_.]+)\}")


@attrs.frozen
class NodeConfig:
    """
    What a node runs with.
    """

    general: GeneralConfig
    proxy: ProxyConfig
    cache: CacheConfig
    p2p: P2PConfig
    control_plane: ControlPlaneConfig
    storage: StorageConfig
    limits: LimitsConfig
    admin: AdminConfig
    tracing: TracingConfig


@attrs.frozen
class ControlConfig:
    """
    What the embedded control plane runs with.

    Attributes:
        server: Its own section.
        token: What nodes must show, None when anybody may register.
        log_level: As in ``[general]``.
        log_format: As in ``[general]``.
    """

    server: ControlPlaneServerConfig
    token: Secret | None
    log_level: str
    log_format: str


@attrs.frozen
class Effective:
    """
    One key with the value that holds.

    Attributes:
        section: Its section.
        key: Its name.
        value: Its text, redacted when it is secret.
        source: Where the value came from.
    """

    section: str
    key: str
    value: str
    source: str


class _Draft:
    """
    The texts and values of all keys while they are being checked.

    Attributes:
        given: The text that holds for each key, by ``section.key``.
        values: What was read from it; for a text that is wrong, from the default.
        problems: What is wrong.
    """

    def __init__(
        self, path: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]
    ) -> None:
        self.problems = Problems()
        self.given: dict[str, Given] = {}
        self.values: dict[str, object] = {}
        self._wrong: set[str] = set()
        self._data_dir = default_data_dir(environ)
        if path is not None:
            self.given |= read_file(path, self.problems)
        self.given |= read_environment(environ, self.problems)
        self.given |= read_flags(flags, self.problems)
        for key in KEYS:
            self._read(key)

    def _default(self, key: Key) -> Given:
        """
        Work out the default of a key from those before it.
        """

        def resolve(match: re.Match[str]) -> str:
            name = match[1]
            return self._data_dir if name == "data_dir" else str(self.values[name])

        text = _REFERENCE.sub(resolve, key.default)
        return Given(text, "default", key.label, Path.cwd())

    def _read(self, key: Key) -> None:
        """
        Read the value of a key, falling back to its default when the text is wrong.
        """
        default = self._default(key)
        given = self.given.setdefault(key.path, default)
        try:
            value = key.kind.parse(given.text)
        except ValueError as error:
            self._wrong.add(key.path)
            self.problems.add_value(key, given, str(error))
            value = key.kind.parse(default.text)
        if key.kind.path:
            value = _absolute(str(value), given.base)
        self.values[key.path] = value

    def check(self, conflicts: tuple[checks.Conflict, ...]) -> None:
        """
        Note conflicts between values that are right by themselves.
        """
        if self.problems.incomplete:
            return
        for conflict in conflicts:
            if not self._wrong.isdisjoint(conflict.paths):
                continue
            path = conflict.paths[0]
            reason = conflict.reason
            self.problems.add_value(BY_PATH[path], self.given[path], reason)

    def secret(self, path: str) -> Secret | None:
        """
        Give a secret that may also stand in a file, named by the key with ``_file``.
        """
        file_path = f"{path}_file"
        file_name = self.values[file_path]
        value = self.values.get(path)
        inline = value if isinstance(value, Secret) else None
        if not file_name or not isinstance(file_name, str):
            return inline
        if inline is not None:
            reason = f"{BY_PATH[path].label} is set as well; keep one of them"
            self.check((checks.Conflict((file_path, path), reason),))
            return inline
        try:
            return checks.read_secret_file(Path(file_name))
        except ValueError as error:
            self.check((checks.Conflict((file_path,), str(error)),))
            return None

    def clients(self, path: str) -> Clients | None:
        """
        Give what stands in the credentials file that a key names, None without one.
        """
        name = self.values[path]
        if not name or not isinstance(name, str):
            return None
        try:
            return checks.read_clients_file(Path(name))
        except ValueError as error:
            self.check((checks.Conflict((path,), str(error)),))
            return None

    def finish(self) -> None:
        """
        Raise what was found.

        Raises:
            ConfigError: Something is wrong.
        """
        if problems := self.problems.listed():
            raise ConfigError(problems)


def default_data_dir(environ: Mapping[str, str]) -> str:
    """
    Give the directory for what must survive a restart when nobody chose one: the
    system's when this process may write there, else the user's.
    """
    home = environ.get("HOME", "")
    data_home = environ.get("XDG_DATA_HOME") or (home and f"{home}/.local/share")
    mine = os.geteuid() == 0 or os.access(SYSTEM_DATA_DIR, os.W_OK)
    return str(SYSTEM_DATA_DIR) if mine or not data_home else f"{data_home}/eliop2p"


def _absolute(text: str, base: Path) -> str:
    """
    Make a path absolute, ``~`` included; an empty one stays empty.
    """
    with contextlib.suppress(RuntimeError):  # There is no such user: a plain name.
        return str(base / Path(text).expanduser()) if text else ""
    return str(base / text)


def load_node_config(
    path: str | None, environ: Mapping[str, str], flags: Mapping[str, str]
) -> NodeConfig:
    """
    Read the configuration of a node. Blocks on small files: call it before the reactor
    runs.

    Args:
        path: The INI file, None for none.
        environ: The environment.
        flags: What the command line gave, by ``section.key``.

    Raises:
        ConfigError: Something is wrong; it carries every problem.
    """
    draft = _Draft(Path(path) if path is not None else None, environ, flags)
    values = draft.values | {"p2p.cluster_secret": draft.secret("p2p.cluster_secret")}
    values["control_plane.token"] = draft.secret("control_plane.token")
    values["storage.secret_key"] = draft.secret("storage.secret_key")
    config = NodeConfig(
        general=build_section(GeneralConfig, "general", values),
        proxy=build_section(ProxyConfig, "proxy", values),
        cache=build_section(CacheConfig, "cache", values),
        p2p=build_section(P2PConfig, "p2p", values),
        control_plane=build_section(ControlPlaneConfig, "control_plane", values),
        storage=build_section(StorageConfig, "storage", values),
        limits=build_section(LimitsConfig, "limits", values),
        admin=build_section(AdminConfig, "admin", values),
        tracing=build_section(TracingConfig, "tracing", values),
    )
    storage, admin = config.storage, config.admin
    if storage.type == "local":
        base = draft.given["storage.endpoint"].base
        storage = attrs.evolve(storage, endpoint=_absolute(storage.endpoint, base))
    admin = attrs.evolve(admin, token=draft.secret("admin.token"))
    proxy = attrs.evolve(config.proxy, clients=draft.clients("proxy.credentials_file"))
    config = attrs.evolve(config, storage=storage, admin=admin, proxy=proxy)
    draft.check(checks.node_conflicts(config))
    draft.finish()
    return config


def load_control_config(
    path: str | None, environ: Mapping[str, str], flags: Mapping[str, str]
) -> ControlConfig:
    """
    Read the configuration of the embedded control plane. Blocks on small files: call it
    before the reactor runs.

    Args:
        path: The INI file, None for none.
        environ: The environment.
        flags: What the command line gave, by ``section.key``.

    Raises:
        ConfigError: Something is wrong; it carries every problem.
    """
    draft = _Draft(Path(path) if path is not None else None, environ, flags)
    general = build_section(GeneralConfig, "general", draft.values)
    values = draft.values | {
        "control_plane_server.admin_token": draft.secret(
            "control_plane_server.admin_token"
        )
    }
    server = build_section(ControlPlaneServerConfig, "control_plane_server", values)
    draft.check(checks.control_conflicts(server))
    config = ControlConfig(
        server=server,
        token=draft.secret("control_plane.token"),
        log_level=general.log_level,
        log_format=general.log_format,
    )
    draft.finish()
    return config


def effective(
    path: str | None, environ: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[Effective, ...]:
    """
    List the value of every key and where it came from. What only shows in combination
    with others, such as two equal ports, is not checked.

    Args:
        path: The INI file, None for none.
        environ: The environment.
        flags: What the command line gave, by ``section.key``.

    Raises:
        ConfigError: Some value cannot be read.
    """
    draft = _Draft(Path(path) if path is not None else None, environ, flags)
    draft.finish()
    return tuple(_effective(key, draft) for key in KEYS)


def _effective(key: Key, draft: _Draft) -> Effective:
    """
    Show a key as read, paths in full and secrets not at all.
    """
    given = draft.given[key.path]
    text = str(draft.values[key.path]) if key.kind.path else given.text
    return Effective(key.section, key.name, shown(key, text), given.source)
