"""
Real stores for whole sessions, started when the first test wants one.
"""

from collections.abc import Iterator

import pytest

from tests.functional.stores import ceph, swift
from tests.functional.stores.daemons import Daemons, missing
from tests.functional.stores.store import RealStore


def _require(programs: tuple[str, ...], packages: str) -> None:
    absent = missing(*programs)
    if absent is not None:
        pytest.skip(f"{absent} is not installed; apt-get install {packages}")


@pytest.fixture(scope="session")
def rgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStore]:
    """
    Run Ceph's object gateway, path style, with the users alice and bob.
    """
    _require(ceph.PROGRAMS, ceph.PACKAGES)
    daemons = Daemons(tmp_path_factory.mktemp("ceph"))
    try:
        yield ceph.start_ceph(daemons)
        daemons.check()
    finally:
        daemons.stop()


@pytest.fixture(scope="session")
def swift_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStore]:
    """
    Run OpenStack Swift with its S3 interface, with the users alice and bob.
    """
    _require(swift.PROGRAMS, swift.PACKAGES)
    directory = tmp_path_factory.mktemp("swift")
    if not swift.takes_attributes(directory):
        pytest.skip(f"the file system of {directory} takes no extended attributes")
    daemons = Daemons(directory)
    try:
        yield swift.start_swift(daemons)
        daemons.check()
    finally:
        daemons.stop()
