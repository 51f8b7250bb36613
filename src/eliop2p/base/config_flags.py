"""
The configuration's keys as flags of twist and twistd.
"""

from collections.abc import Mapping

from eliop2p.base.config_keys import KEYS

CONFIG_FLAG = ["config", "c", None, "INI file to read."]


def flag_parameters(sections: tuple[str, ...]) -> list[list[str | None]]:
    """
    Give the ``optParameters`` of ``twisted.python.usage.Options``: the file, and
    one flag for each key of some sections.
    """
    keys = [key for key in KEYS if key.section in sections]
    return [
        CONFIG_FLAG,
        *([flag, None, None, key.help] for key in keys for flag in key.flags),
    ]


def given_flags(options: Mapping[str, str | None]) -> dict[str, str]:
    """
    Give the texts of the flags that were given, by ``section.key``.
    """
    return {
        key.path: text
        for key in KEYS
        for flag in key.flags
        if (text := options.get(flag)) is not None
    }
