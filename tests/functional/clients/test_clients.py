"""
Stock clients through a node: every byte as with the store itself, cold and warm.

    pytest tests/functional/clients                     those that are at hand
    pytest tests/functional/clients --all-clients=DIR   all; others are installed in DIR
"""

import random
import re
import shutil
from pathlib import Path

import attrs
import pytest

from tests.functional.clients.environments import Environments, Step
from tests.functional.clients.place import Place
from tests.functional.clients.places import Places
from tests.functional.clients.results import Results
from tests.functional.clients.table import CLIENTS, SIGNED_CHUNKS, Client
from tests.functional.documents import ROOT

MIB = 1024 * 1024
KEY = "llama/weights.bin"

SIZE = 9 * MIB + 12345
"""
More than a part and a chunk of 8 MiB, and no multiple of anything.
"""

PARTS = ((0, 8 * MIB), (1000, 9 * MIB), (8 * MIB, SIZE), (0, SIZE))
"""
On the bounds of chunks, across them, to the end, and all: half-open.
"""


def names(clients: tuple[Client, ...]) -> list[str]:
    """
    Name clients for pytest.
    """
    return [client.name for client in clients]


@attrs.define
class Trial:
    """
    One client in one place.

    Attributes:
        client: Who.
        place: Where.
        environments: Runs it.
        results: Where to note what it did.
        mode: How the place is called.
        directory: For files.
    """

    client: Client
    place: Place
    environments: Environments
    results: Results
    mode: str
    directory: Path

    def run(self, steps: list[Step]) -> str:
        """
        Let the client work.

        Returns:
            Its version.
        """
        job = self.place.job(self.directory)
        return self.environments.run(self.client, job, steps)

    def read(self, key: str, data: bytes, how: tuple[str, ...], *, warm: bool) -> None:
        """
        Let the client read an object in every way, and compare.

        Args:
            key: The object.
            data: Its bytes.
            how: The ways to do it.
            warm: Whether the node is to have all of it.
        """
        wanted = dict.fromkeys(how, data)
        wanted["ranges"] = b"".join(data[start:stop] for start, stop in PARTS)
        files = {name: self.directory / name for name in how}
        more = {"ranges": ([list(part) for part in PARTS],)}
        steps = [(name, key, str(files[name]), *more.get(name, ())) for name in how]
        if warm:
            assert self.place.read(key) == data
        before = self.place.cached_bytes()
        version = self.run([tuple(step) for step in steps])
        served = self.place.cached_bytes() - before
        for name, file in files.items():
            assert file.read_bytes() == wanted[name], f"{name} gave other bytes"
            self._note(version, name, "cold, warm" if warm else "cold")
        if warm:
            # At least: some ask once for ranges that overlap.
            assert served >= len(data) * len(how)

    def write(self, how: tuple[str, ...], data: bytes) -> None:
        """
        Let the client replace objects that the node knows, and compare.
        """
        source = self.directory / "source"
        source.write_bytes(data)
        keys = {name: f"{self.directory.name}/{name}" for name in how}
        for key in keys.values():
            self.place.put(key, data[::-1])
            assert self.place.read(key) == data[::-1]
        version = self.run([(name, str(source), key) for name, key in keys.items()])
        for name, key in keys.items():
            assert self.place.stored(key) == data, f"{name} stored other bytes"
            assert self.place.read(key) == data, f"{name} left an old object behind"
            self._note(version, name, "yes")

    def _note(self, version: str, name: str, how: str) -> None:
        self.results.note(self.client.name, version, self.mode, name, how)


def check(trial: Trial, can: tuple[str, ...]) -> None:
    """
    Let a client do something.

    Args:
        trial: The client and the place.
        can: What it is to do.
    """
    rng = random.Random(trial.client.name)
    reads = tuple(step for step in can if step in {"get", "stream", "ranges"})
    if reads:
        data = rng.randbytes(SIZE)
        for how in reads:
            trial.place.put(f"{trial.directory.name}/{how}", data)
            trial.read(f"{trial.directory.name}/{how}", data, (how,), warm=False)
        trial.read(f"{trial.directory.name}/get", data, reads, warm=True)
    writes = tuple(step for step in can if step not in reads)
    if writes:
        trial.write(writes, rng.randbytes(SIZE))


@pytest.fixture(params=CLIENTS, ids=names(CLIENTS))
def client(request: pytest.FixtureRequest) -> Client:
    """
    Each client in turn, if it is there.
    """
    found = request.param
    assert isinstance(found, Client)
    if found.requirements and request.config.getoption("--all-clients") is None:
        pytest.skip(f"{found.name} is installed only with --all-clients")
    if found.tool and shutil.which(found.tool) is None:
        pytest.skip(f"{found.tool} is not installed")
    return found


def test_reverse(
    client: Client,
    environments: Environments,
    results: Results,
    tmp_path: Path,
    places: Places,
) -> None:
    """
    A client that takes the node for the store reads and writes what it would there.
    """
    for store, steps in client.stores().items():
        place = places.reverse(store, port_80=client.port_80)
        trial = Trial(client, place, environments, results, "reverse", tmp_path)
        check(trial, steps)


@pytest.fixture
def all_clients(request: pytest.FixtureRequest) -> None:
    """
    Skip what takes too long to be done each time.
    """
    if request.config.getoption("--all-clients") is None:
        pytest.skip("each client a second time only with --all-clients")


@pytest.mark.usefixtures("all_clients")
def test_verified(
    client: Client,
    environments: Environments,
    results: Results,
    tmp_path: Path,
    places: Places,
) -> None:
    """
    A client whose signatures the node checks itself reads and writes what it would with
    the store.
    """
    for store, steps in client.stores().items():
        place = places.reverse(store, port_80=client.port_80, verified=True)
        trial = Trial(client, place, environments, results, "verify", tmp_path)
        check(trial, steps)


def test_forward(
    client: Client,
    environments: Environments,
    results: Results,
    tmp_path: Path,
    places: Places,
) -> None:
    """
    A client that names the store, and the node as its proxy, reads and writes what it
    would with the store.
    """
    for store, steps in client.stores().items():
        place = places.forward(store)
        trial = Trial(client, place, environments, results, "forward", tmp_path)
        check(trial, steps)


GUIDE = ROOT / "docs" / "how-to" / "clients.md"


@attrs.frozen
class Recipe:
    """
    What the guide tells users of a client to do.

    Attributes:
        language: What it is written in.
        text: What is to be done.
        shown: What that is said to print; three dots stand for anything.
    """

    language: str
    text: str
    shown: str


def recipe(heading: str) -> Recipe:
    """
    Find what stands below a heading.
    """
    text = GUIDE.read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"there is no {heading}"
    section = re.split(r"^#{2,3} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (language, commands), *others = blocks
    shown = [each for kind, each in others if kind == "text"]
    return Recipe(language, commands, shown[0] if shown else "")


def follow(
    client: Client, wanted: Recipe, environments: Environments, places: Places
) -> None:
    """
    Do what the guide says, and compare what comes of it.
    """
    place = places.reverse("oss" if client.oss else "rgw", port_80=client.port_80)
    data = random.Random(client.name).randbytes(SIZE)
    place.put(KEY, data)
    host = place.endpoint.partition("//")[2]
    snippet = wanted.text.replace("localhost:8080", host)
    got, printed = environments.snippet(client, place, wanted.language, snippet)
    assert got == data
    print(f"{client.name}: {len(got)} bytes, the same; printed {printed[-300:]!r}")
    pattern = ".*".join(map(re.escape, " ".join(wanted.shown.split()).split("...")))
    assert re.search(pattern, " ".join(printed.split()))


def test_guide(client: Client, environments: Environments, places: Places) -> None:
    """
    What the guide tells users of a client to do downloads the object that it names, and
    prints what is said.
    """
    if client is SIGNED_CHUNKS:
        pytest.skip("a way to upload, and no client of its own")
    follow(client, recipe(f"## {client.name}"), environments, places)


def test_unchanged(client: Client, environments: Environments, places: Places) -> None:
    """
    A program that names no endpoint finds the node through the environment, where the
    guide says that it does.
    """
    if f"\n### {client.name}\n" not in GUIDE.read_text(encoding="utf-8"):
        pytest.skip(f"{client.name} takes no endpoint from the environment")
    follow(client, recipe(f"### {client.name}"), environments, places)
