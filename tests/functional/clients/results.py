"""
What the clients did.
"""

import attrs

STEPS = ("get", "stream", "ranges", "put", "multipart", "chunked")


@attrs.define
class Results:
    """
    A table of clients and what they were seen to do, byte for byte.
    """

    _versions: dict[str, str] = attrs.field(factory=dict)
    _cells: dict[tuple[str, str, str], str] = attrs.field(factory=dict)

    def note(self, client: str, version: str, mode: str, step: str, how: str) -> None:
        """
        Note that a client did something.

        Args:
            client: Its name.
            version: Its version.
            mode: The way to the store.
            step: What it did.
            how: What was compared.
        """
        self._versions[client] = version
        self._cells[client, mode, step] = how

    def table(self) -> str:
        """
        Write the table in Markdown.
        """
        lines = [
            f"| client | version | mode | {' | '.join(STEPS)} |",
            f"|{'---|' * (3 + len(STEPS))}",
        ]
        rows = dict.fromkeys((client, mode) for client, mode, _ in self._cells)
        for client, mode in rows:
            cells = (self._cells.get((client, mode, step), "") for step in STEPS)
            version = self._versions[client]
            lines.append(f"| {client} | {version} | {mode} | {' | '.join(cells)} |")
        return "\n".join(lines)
