"""
The stores, the nodes in front of them, and where clients are installed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.clients.environments import Environments
from tests.functional.clients.places import Places
from tests.functional.clients.results import Results


@pytest.fixture(scope="session")
def environments(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Environments:
    """
    Keep clients where the option says, else for this run.
    """
    chosen = request.config.getoption("--all-clients")
    return Environments(
        Path(chosen).absolute() if chosen else tmp_path_factory.mktemp("clients")
    )


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> Iterator[Results]:
    """
    Collect what clients did, and print the table in the end.
    """
    collected = Results()
    yield collected
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        print(f"\n{collected.table()}")


@pytest.fixture(scope="session")
def places(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Places]:
    """
    Run nodes in front of stores.
    """
    running = Places(request, tmp_path_factory.mktemp("nodes"))
    try:
        yield running
    finally:
        running.stop()
