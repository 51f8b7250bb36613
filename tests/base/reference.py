"""
The rows that the reference must hold, made from the code.
"""

from pathlib import Path

from eliop2p.base.config_keys import KEYS, Key
from eliop2p.base.metric_table import TABLE

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

_DEFAULTS = {
    "": "none",
    "{data_dir}": "see below",
    "{general.bind_address}": "`[general]`'s",
    "{general.data_dir}/cache": "`data_dir`/cache",
    "{general.data_dir}/control.db": "`data_dir`/control.db",
}


def key_row(key: Key) -> str:
    """
    Make the row of a key in ``configuration.md``.
    """
    default = _DEFAULTS.get(key.default, f"`{key.default}`")
    kind = f"{key.kind.name} ({key.unit})" if key.unit else key.kind.name
    return f"| `{key.name}` | {default} | {kind} | {key.help} |"


def short_name_row(key: Key) -> str:
    """
    Make the row of a key's short names in ``configuration.md``.
    """
    return f"| `{key.label}` | `{key.variables[0]}` | `--{key.flags[0]}` |"


def metric_rows() -> list[str]:
    """
    Make the rows of ``metrics.md``.
    """
    return [
        f"| `{info.name}` | {info.kind} | {', '.join(info.labels) or '-'} "
        f"| {info.help} |"
        for info in TABLE
    ]


def configuration_rows() -> list[str]:
    """
    Make the rows of the tables in ``configuration.md``, in order.
    """
    rows = [key_row(key) for key in KEYS]
    return rows + [short_name_row(key) for key in KEYS if key.short]


def table_rows(document: str) -> list[str]:
    """
    Find the rows of all tables in a document, headings left out.
    """
    lines = (REFERENCE / document).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("| `")]
