"""
What the control plane answers to.
"""

from typing import Final

import attrs

API: Final = ("api", "v1")


@attrs.frozen
class Route:
    """
    One thing that can be asked for.

    Attributes:
        name: What the server calls it.
        method: The HTTP method.
        path: The segments of the path; ``{id}`` stands for the name of a node.
        guarded: Whether the token must be shown.
    """

    name: str
    method: str
    path: tuple[str, ...]
    guarded: bool = True

    @property
    def title(self) -> str:
        """
        The route as people write it.
        """
        return f"{self.method} /{'/'.join(self.path)}"


ROUTES: tuple[Route, ...] = (
    Route("health", "GET", ("health",), guarded=False),
    Route("register", "POST", (*API, "nodes")),
    Route("nodes", "GET", (*API, "nodes")),
    Route("heartbeat", "PUT", (*API, "nodes", "{id}", "heartbeat")),
    Route("leave", "DELETE", (*API, "nodes", "{id}")),
    Route("report", "PUT", (*API, "nodes", "{id}", "chunks")),
    Route("locations", "POST", (*API, "chunks", "locations")),
    Route("counts", "GET", (*API, "metrics")),
    Route("metrics", "GET", ("metrics",), guarded=False),
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
        node_id: The node that the path names, undecoded; empty when it names none.
    """

    routes: dict[str, Route]
    node_id: bytes

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
        if all(
            part == "{id}" or part.encode() == segment
            for part, segment in zip(path, segments, strict=True)
        ):
            node_id = segments[path.index("{id}")] if "{id}" in path else b""
            return Match(routes, node_id)
    return None
