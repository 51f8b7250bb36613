"""
What pytest needs to know.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

import pytest


@pytest.fixture(scope="session", autouse=True)
def _scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    Run the tests in a directory of their own, as trial does: that is where ``mktemp``
    of a test case puts its files.
    """
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("scratch"))
    yield
    os.chdir(before)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Put trial's test cases first: the first test that pytest-twisted runs leaves the
    reactor running, and test cases find it dirty from then on.
    """
    items.sort(key=lambda item: not _is_test_case(item))


def _is_test_case(item: pytest.Item) -> bool:
    """
    Tell whether a test is a method of a TestCase.
    """
    owner = getattr(item, "cls", None)
    return owner is not None and issubclass(owner, TestCase)
