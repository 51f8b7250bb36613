"""
Debian's Chromium without a screen, driven over its debugging protocol.
"""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

from tests.functional.one_node import BOUND, until

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    *("--remote-debugging-port=0", "--remote-allow-origins=*"),
)


def chromium() -> str | None:
    """
    Find the browser, None when it is not installed.
    """
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """
    One page.

    Attributes:
        complaints: Errors and warnings that the page has put on the console, and
            exceptions that nobody caught.
    """

    def __init__(self, url: str) -> None:
        self.complaints: list[str] = []
        self._socket = websocket.create_connection(url, timeout=BOUND)
        self._numbers = itertools.count(1)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """
        Have the browser do something.
        """
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        while True:
            answer: dict[str, Any] = json.loads(self._socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        name, what = event.get("method"), event.get("params", {})
        if name == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(what["exceptionDetails"])[:500])
        elif name == "Log.entryAdded" and what["entry"]["level"] in {
            "error",
            "warning",
        }:
            self.complaints.append(json.dumps(what["entry"])[:500])
        elif name == "Runtime.consoleAPICalled" and what["type"] in {
            "error",
            "warning",
            "assert",
        }:
            self.complaints.append(json.dumps(what["args"])[:500])

    def open(self, url: str, width: int, height: int) -> None:
        """
        Go to a page in a window of that size; what earlier ones complained of is
        forgotten.
        """
        self.call("Page.navigate", url="about:blank")
        self.until("location.protocol == 'about:'", "the earlier page is gone")
        self.complaints.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=url)
        self.until(
            "location.protocol == 'http:' && document.readyState == 'complete'",
            f"{url} is loaded",
        )

    def scheme(self, name: str) -> None:
        """
        Prefer light or dark.
        """
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def value(self, expression: str) -> Any:
        """
        Compute something in the page; promises are waited for.
        """
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def text(self, selector: str) -> str:
        """
        Give the text of an element.
        """
        quoted = json.dumps(selector)
        found = self.value(f"(document.querySelector({quoted})||{{}}).innerText||''")
        return str(found)

    def until(self, expression: str, what: str) -> None:
        """
        Wait until something holds in the page.
        """
        until(lambda: bool(self.value(expression)), what)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """
        Take a picture of the page.
        """
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(data["data"]))

    def close(self) -> None:
        """
        Let go of the page.
        """
        self._socket.close()


@contextmanager
def browser() -> Iterator[Page]:
    """
    Run a browser with a profile of its own, and give its page.
    """
    command = chromium()
    assert command is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [command, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield from _first_page(Path(profile) / "DevToolsActivePort")
        finally:
            process.terminate()
            try:
                process.wait(BOUND)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _first_page(port_file: Path) -> Iterator[Page]:
    pause = threading.Event()
    for _ in range(int(BOUND / 0.05)):
        if port_file.exists() and "\n" in port_file.read_text():
            break
        pause.wait(0.05)
    port = int(port_file.read_text().splitlines()[0])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
        pages = [each for each in json.load(answer) if each["type"] == "page"]
    page = Page(pages[0]["webSocketDebuggerUrl"])
    try:
        yield page
    finally:
        page.close()
