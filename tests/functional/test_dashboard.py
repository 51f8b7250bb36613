"""
The dashboard in a real browser.
"""

import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from eliop2p.cli.local_cluster import LocalCluster
from tests.functional.browser import Page, browser, chromium
from tests.functional.conftest import Store
from tests.functional.one_node import OBJECT, OneNode, make_node
from tests.functional.stores.store import client
from tests.functional.test_cluster import HEADS, PIECE, make_object, read_whole

SIZES = ((1440, 900), (390, 844))
TOKEN = "0p3r4t0r0p3r4t0r0p3r4t0r"

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="needs Debian's package chromium"
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[OneNode]:
    """
    Run a node in front of an object of some chunks.
    """
    made = make_node(tmp_path, bytes(40 * 1024 * 1024))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """
    Run a browser.
    """
    with browser() as found:
        yield found


class TestDashboard:
    """
    What an operator sees.
    """

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_follows_a_read(
        self, node: OneNode, page: Page, size: tuple[int, int], scheme: str
    ) -> None:
        """
        The page loads without a complaint, fits the window, and shows a read while it
        runs: bytes by source, chunks, object, request.
        """
        page.scheme(scheme)
        page.open(f"{node.admin}/", *size)
        page.until("document.title.includes('ElioP2P')", "the page has a title")
        page.until("!document.getElementById('main').hidden", "it shows the node")
        page.until(
            "document.getElementById('state').textContent == 'healthy'", "healthy"
        )
        assert page.text("#recent") == "no requests yet"
        with urllib.request.urlopen(f"{node.url}/{OBJECT}") as answer:
            answer.read(1024 * 1024)
            page.until(
                "document.getElementById('recent').innerText.includes('under way')",
                "the request under way is listed",
            )
            answer.read()
        page.until(
            "document.querySelectorAll('#cells b.origin').length == 5",
            "every chunk is pictured as from the store",
        )
        page.until(
            "document.getElementById('legend').innerText.includes('the store')"
            " && document.querySelector('#chart canvas') !== null",
            "bytes are charted",
        )
        assert OBJECT in page.text("#objects")
        width = page.value("document.documentElement.scrollWidth")
        assert width <= size[0]
        assert page.complaints == []

    def test_explains(self, node: OneNode, page: Page) -> None:
        """
        A request that is clicked is explained chunk by chunk.
        """
        with urllib.request.urlopen(f"{node.url}/{OBJECT}") as answer:
            answer.read()
            name = answer.headers["X-Elio-Request-Id"]
        page.open(f"{node.admin}/", *SIZES[0])
        page.until(f"!!document.querySelector('[data-name=\"{name}\"]')", "listed")
        page.value(f"document.querySelector('[data-name=\"{name}\"]').click()")
        page.until("document.querySelectorAll('#chunks tr').length == 5", "explained")
        assert "there is no other node" in page.text("#chunks")
        assert page.complaints == []

    def test_cluster(self, store: Store, cluster: LocalCluster, page: Page) -> None:
        """
        The page of one node says what all nodes read of the store for what they served,
        as counted outside of them, and when one does not tell.
        """
        size = 24 * PIECE
        make_object(store, "watched", size)
        before = store.counter.sent
        for node in cluster.nodes:
            read_whole(client(node.url, store.alice), "watched")
        read = store.counter.sent - before
        page.open(f"{cluster.nodes[0].admin_url}/", *SIZES[0])
        page.until(
            "document.getElementById('amplification-of').innerText"
            ".includes('served by 3 of 3 nodes')",
            "all nodes have told",
        )
        shown = float(page.text("#amplification"))
        assert abs(shown - read / (3 * size)) < 0.001 + HEADS / size
        assert page.value("document.querySelectorAll('#nodes tr').length") == 3
        for node in cluster.nodes:
            assert node.name in page.text("#nodes")
        assert page.complaints == []

    def test_can_be_used_without_a_mouse(self, node: OneNode, page: Page) -> None:
        """
        Every control and region is reached with a key and has a name; headings do not
        skip a level; pictures have texts.
        """
        page.open(f"{node.admin}/", *SIZES[0])
        page.until("!!document.querySelector('#map svg')", "the map is drawn")
        unnamed = page.value(
            "[...document.querySelectorAll('button,input,[role],[tabindex]')]"
            ".filter(e => !(e.innerText || e.ariaLabel || e.labels?.length"
            " || e.getAttribute('aria-label') || e.hidden)).length"
        )
        assert unnamed == 0
        levels = page.value(
            "[...document.querySelectorAll('h1,h2,h3')].map(e => +e.tagName[1])"
        )
        assert levels[0] == 1
        assert max(levels) == 2
        assert "node" in page.value(
            "document.querySelector('#map svg').getAttribute('aria-label')"
        )
        assert page.value("document.documentElement.lang") == "en"

    def test_token(self, node: OneNode, page: Page) -> None:
        """
        Where a token is wanted the page asks for it, and shows nothing before.
        """
        node.end()
        token = node.directory / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        node.configure(admin={"listen_port": node.ports.admin, "token_file": "token"})
        node.start()
        page.open(f"{node.admin}/", *SIZES[1])
        page.until("!document.getElementById('ask').hidden", "the page asks")
        assert page.value("document.getElementById('main').hidden")
        page.value(f"document.getElementById('token').value = '{TOKEN}'")
        page.value("document.querySelector('#ask button').click()")
        page.until("!document.getElementById('main').hidden", "it shows the node")
        page.value("sessionStorage.clear()")
        # The browser itself notes the refusal.
        assert all("401" in each for each in page.complaints)

    def test_comes_back(self, node: OneNode, page: Page) -> None:
        """
        A node that goes is said to be gone, and shown again when it is back.
        """
        page.open(f"{node.admin}/", *SIZES[0])
        page.until("!document.getElementById('main').hidden", "it shows the node")
        stopped = threading.Thread(target=node.end)
        stopped.start()
        page.until(
            "document.getElementById('state').textContent.includes('no connection')",
            "the page says so",
        )
        stopped.join()
        node.start()
        page.until(
            "document.getElementById('state').textContent == 'healthy'", "it is back"
        )
