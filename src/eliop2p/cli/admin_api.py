"""
Asking a node's admin port.
"""

import functools
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click

from eliop2p.base.config_checks import read_secret_file
from eliop2p.base.config_kinds import parse_endpoint
from eliop2p.base.secret import Secret

DEFAULT_ADMIN = "http://127.0.0.1:8082"
TIMEOUT = 5.0
MAX_ANSWER = 4 * 1024 * 1024
_MAX_REASON = 200


@attrs.frozen
class Admin:
    """
    The admin port of a node.

    Attributes:
        url: ``http://host:port``.
        token: What to show, None for nothing.
    """

    url: str
    token: Secret | None

    def ask(self, path: str, body: object = None, timeout: float = TIMEOUT) -> bytes:
        """
        Send a request and give the body of the answer.

        Args:
            path: Which page.
            body: What to POST as JSON; None for a GET.
            timeout: Seconds without a byte of an answer until it is given up.

        Raises:
            click.ClickException: There is no answer, or a refusal; the text says what
                to check.
        """
        request = urllib.request.Request(f"{self.url}{path}")  # noqa: S310  http only
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token.reveal()}")
        # The proxies of the environment are for the store, not for the admin port.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                data: bytes = answer.read(MAX_ANSWER)
                return data
        except urllib.error.HTTPError as error:
            raise click.ClickException(
                f"{self.url} answered {error.code}{_hint(error)}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise click.ClickException(
                f"no answer from {self.url} ({reason}): check that the node runs and "
                "that --admin is its [admin] bind_address and listen_port"
            ) from None


def _hint(error: urllib.error.HTTPError) -> str:
    """
    Tell what to do about a refusal.
    """
    if error.code in {401, 403}:
        return "; give --token-file FILE: the one that [admin] token_file names"
    try:
        reason = json.loads(error.read(MAX_ANSWER))["error"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    text = "".join(each for each in str(reason) if each.isprintable())
    return f": {text[:_MAX_REASON]}"


def not_a_node(admin: Admin) -> click.ClickException:
    """
    Make the error for an answer that no node gives.
    """
    return click.ClickException(
        f"{admin.url} answered something else: check that --admin is the [admin] port"
    )


def _admin(url: str, token_file: str | None) -> Admin:
    """
    Read the options.

    Raises:
        click.BadParameter: One of them is wrong.
    """
    try:
        parsed = parse_endpoint(url, ("http",), default_port=8082).url
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--admin") from None
    try:
        token = read_secret_file(Path(token_file)) if token_file else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--token-file") from None
    return Admin(parsed, token)


def admin_options(command: Callable[..., None]) -> Callable[..., None]:
    """
    Give a command the options of whatever asks a node: it gets ``admin``, an
    :class:`Admin`, and ``as_json``.
    """

    @click.option(
        "--admin",
        default=DEFAULT_ADMIN,
        show_default=True,
        metavar="URL",
        help="Where the node's admin server is.",
    )
    @click.option("--token-file", metavar="FILE", help="File with the admin token.")
    @click.option("--json", "as_json", is_flag=True, help="Write the node's own JSON.")
    @functools.wraps(command)
    def wrapped(admin: str, token_file: str | None, **others: Any) -> None:
        command(admin=_admin(admin, token_file), **others)

    return wrapped
