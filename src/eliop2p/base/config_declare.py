"""
How a section of the configuration declares its keys.
"""

from typing import TypeVar

import attrs

from eliop2p.base.config_kinds import Kind

_T = TypeVar("_T")


def declare(
    kind: Kind[_T],
    default: str,
    help: str,  # noqa: A002  what attrs, click and argparse call it
    *,
    unit: str = "",
    short: str = "",
    name: str = "",
) -> _T:
    """
    Declare a key as an attribute of its section; name when it differs from that.
    """
    field: _T = attrs.field(
        metadata={
            "kind": kind,
            "default": default,
            "help": help,
            "unit": unit,
            "short": short,
            "name": name,
        }
    )
    return field
