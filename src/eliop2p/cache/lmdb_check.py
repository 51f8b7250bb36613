"""
Reads an LMDB file through, in a process of its own: a file whose structure is damaged
can end the process that reads it.

    python -m eliop2p.cache.lmdb_check FILE

Ends with 0 when the file is whole.
"""

import sys

from eliop2p.cache.lmdb_rows import PIECE_KEY, open_tables, parse_row


def is_whole(path: str) -> bool:
    """
    Walk every table from end to end.
    """
    tables = open_tables(path, map_size=0, readonly=True)
    with tables.environment.begin(buffers=True) as transaction:
        for key, value in transaction.cursor(tables.index).iternext():
            if parse_row(bytes(key), bytes(value)) is None:
                return False
        for key, value in transaction.cursor(tables.pieces).iternext():
            if len(key) != PIECE_KEY.size or len(value) > tables.unit:
                return False
    return True


if __name__ == "__main__":
    sys.exit(0 if is_whole(sys.argv[1]) else 1)
