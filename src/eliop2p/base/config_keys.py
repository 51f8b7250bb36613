"""
Every key of the configuration, once: what it is called, how it is read, what it means.

What reads files, environment and command line, what lists effective values and what
checks the reference all go through :data:`KEYS`.
"""

from collections.abc import Callable
from typing import TypeVar

import attrs

from eliop2p.base.config_control import ControlPlaneConfig, ControlPlaneServerConfig
from eliop2p.base.config_kinds import Kind
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

ENVIRONMENT_PREFIX = "ELIOP2P_"

_T = TypeVar("_T")


@attrs.frozen
class Key:
    """
    One key of the configuration.

    Attributes:
        section: The section it stands in.
        name: What it is called there.
        attribute: What the section class calls it.
        kind: How its text is read.
        default: Its text when nobody gives one; ``{section.key}`` stands for the value
            of another key, ``{data_dir}`` for the place that suits the user.
        help: What it means, in one sentence.
        unit: What it is counted in, empty when it is not.
        short: Its short name on the command line and, in capitals, in the environment;
            empty when it has none.
    """

    section: str
    name: str
    attribute: str
    kind: Kind[object]
    default: str
    help: str
    unit: str
    short: str

    @property
    def path(self) -> str:
        """
        Its full name: ``section.key``.
        """
        return f"{self.section}.{self.name}"

    @property
    def label(self) -> str:
        """
        Its full name as people write it: ``[section] key``.
        """
        return f"[{self.section}] {self.name}"

    @property
    def flags(self) -> tuple[str, ...]:
        """
        What it is called on the command line, without dashes, the usual name first.
        """
        long = f"{self.section}-{self.name}".replace("_", "-")
        return tuple(dict.fromkeys(filter(None, (self.short, long))))

    @property
    def variables(self) -> tuple[str, ...]:
        """
        What it is called in the environment, the usual name first.
        """
        return tuple(
            ENVIRONMENT_PREFIX + flag.replace("-", "_").upper() for flag in self.flags
        )


SECTIONS: dict[str, type[attrs.AttrsInstance]] = {
    "general": GeneralConfig,
    "proxy": ProxyConfig,
    "cache": CacheConfig,
    "p2p": P2PConfig,
    "control_plane": ControlPlaneConfig,
    "control_plane_server": ControlPlaneServerConfig,
    "storage": StorageConfig,
    "limits": LimitsConfig,
    "admin": AdminConfig,
    "tracing": TracingConfig,
}
"""
The class of each section, in the order in which they are shown.
"""


def _keys_of(section: str, owner: type[attrs.AttrsInstance]) -> list[Key]:
    """
    Read the keys of a section from the class that declares them.
    """
    return [
        Key(
            section=section,
            attribute=field.name,
            name=field.metadata["name"] or field.name,
            **{
                part: field.metadata[part]
                for part in ("kind", "default", "help", "unit", "short")
            },
        )
        for field in attrs.fields(owner)
        if field.metadata
    ]


KEYS: tuple[Key, ...] = tuple(
    key for section, owner in SECTIONS.items() for key in _keys_of(section, owner)
)
"""
Every key there is, sections in order.
"""

BY_PATH: dict[str, Key] = {key.path: key for key in KEYS}
"""
The keys by ``section.key``.
"""

BY_FLAG: dict[str, Key] = {flag: key for key in KEYS for flag in key.flags}
"""
The keys by what they are called on the command line, short names included.
"""

BY_VARIABLE: dict[str, Key] = {name: key for key in KEYS for name in key.variables}
"""
The keys by what they are called in the environment, short names included.
"""


def build_section(
    make: Callable[..., _T], section: str, values: dict[str, object]
) -> _T:
    """
    Make a section from the values of its keys.

    Args:
        make: Its class.
        section: Its name.
        values: What was read, by ``section.key``.
    """
    return make(
        **{key.attribute: values[key.path] for key in KEYS if key.section == section}
    )
