"""
The dashboard: one page and what it is made of, served from the package.
"""

import hashlib
from importlib.resources import files

from twisted.web.http import CACHED
from twisted.web.resource import Resource
from twisted.web.server import Request

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""
The page loads what this node serves, and nothing else (Content Security Policy 3).
"""

_HTML = b"text/html; charset=utf-8"
_SCRIPT = b"text/javascript; charset=utf-8"
_STYLE = b"text/css; charset=utf-8"

PAGES = {
    "": ("index.html", _HTML),
    "app.js": ("app.js", _SCRIPT),
    "draw.js": ("draw.js", _SCRIPT),
    "style.css": ("style.css", _STYLE),
    "icon.svg": ("icon.svg", b"image/svg+xml"),
    "uplot.js": ("vendor/uplot-1.6.32.min.js", _SCRIPT),
    "uplot.css": ("vendor/uplot-1.6.32.min.css", _STYLE),
}
"""
What is served: the file and its type by the last part of its path.
"""


class _File(Resource):
    """
    A file of the package.
    """

    isLeaf = True

    def __init__(self, name: str, content_type: bytes) -> None:
        super().__init__()
        path = files("eliop2p.admin").joinpath("static")
        self._data = path.joinpath(*name.split("/")).read_bytes()
        self._type = content_type
        self._etag = hashlib.sha256(self._data).hexdigest()[:32].encode()

    def render_GET(self, request: Request) -> bytes:
        """
        Answer with the file, unless the browser has it.
        """
        request.setHeader(b"Content-Type", self._type)
        request.setHeader(b"Content-Security-Policy", POLICY.encode())
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        request.setHeader(b"Referrer-Policy", b"no-referrer")
        request.setHeader(b"Cache-Control", b"no-cache")
        if request.setETag(self._etag) is CACHED:
            return b""
        return self._data


def put_dashboard(root: Resource) -> None:
    """
    Put the page at the root of a site, and its parts below ``/dashboard``.
    """
    parts = Resource()
    for name, (file, content_type) in PAGES.items():
        place = parts if name else root
        place.putChild(name.encode(), _File(file, content_type))
    root.putChild(b"dashboard", parts)
