"""
What the control plane answers to.
"""

from typing import Final

import attrs

from eliop2p.control.tokens import Role

API: Final = ("api", "v1")
_NODES: Final = (*API, "nodes")


@attrs.frozen
class Route:
    """
    One thing that can be asked for.

    Attributes:
        name: What the server calls it.
        method: The HTTP method.
        path: The segments of the path; ``{id}`` stands for the name of a node,
            ``{command}`` for that of a command.
        role: Whose token must be shown.
    """

    name: str
    method: str
    path: tuple[str, ...]
    role: Role = Role.NODE

    @property
    def title(self) -> str:
        """
        The route as people write it.
        """
        return f"{self.method} /{'/'.join(self.path)}"


ROUTES: tuple[Route, ...] = (
    Route("health", "GET", ("health",), Role.ANYBODY),
    Route("register", "POST", _NODES),
    Route("nodes", "GET", _NODES),
    Route("heartbeat", "PUT", (*_NODES, "{id}", "heartbeat")),
    Route("leave", "DELETE", (*_NODES, "{id}")),
    Route("report", "PUT", (*_NODES, "{id}", "chunks")),
    Route("commands", "GET", (*_NODES, "{id}", "commands")),
    Route("order", "POST", (*_NODES, "{id}", "commands")),
    Route("acknowledge", "PUT", (*_NODES, "{id}", "commands", "{command}")),
    Route("membership", "GET", (*API, "membership")),
    Route("locations", "POST", (*API, "chunks", "locations")),
    Route("all_commands", "GET", (*API, "commands")),
    Route("replication", "GET", (*API, "replication")),
    Route("replicate", "PUT", (*API, "replication"), Role.OPERATOR),
    Route("counts", "GET", (*API, "metrics")),
    Route("openapi", "GET", (*API, "openapi.json"), Role.ANYBODY),
    Route("metrics", "GET", ("metrics",), Role.ANYBODY),
)
"""
Every route there is.
"""

_BY_PATH: dict[tuple[str, ...], dict[str, Route]] = {
    path: {route.method: route for route in ROUTES if route.path == path}
    for path in dict.fromkeys(route.path for route in ROUTES)
}


@attrs.frozen
class Match:
    """
    What a path leads to.

    Attributes:
        routes: The routes by method.
        names: What stands in the path for ``{id}`` and ``{command}``, undecoded.
    """

    routes: dict[str, Route]
    names: dict[str, bytes]

    @property
    def allowed(self) -> str:
        """
        The methods that may be used, as an Allow header lists them.
        """
        methods = set(self.routes) | ({"HEAD"} if "GET" in self.routes else set())
        return ", ".join(sorted(methods))


def match_path(segments: tuple[bytes, ...]) -> Match | None:
    """
    Find what a path leads to.

    Args:
        segments: The path's segments, percent-decoded each.

    Returns:
        None when it leads nowhere.
    """
    for path, routes in _BY_PATH.items():
        if len(path) != len(segments):
            continue
        pairs = tuple(zip(path, segments, strict=True))
        if all(_is_open(part) or part.encode() == given for part, given in pairs):
            names = {part: given for part, given in pairs if _is_open(part)}
            return Match(routes, names)
    return None


def _is_open(part: str) -> bool:
    return part.startswith("{")
