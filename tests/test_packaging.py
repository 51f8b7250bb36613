"""
What is installed, and what is not.
"""

import importlib
from importlib.metadata import distribution, entry_points
from importlib.resources import files
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import eliop2p

PACKAGE = Path(eliop2p.__file__).parent
PLUGINS = {"eliop2p_plugin": "eliop2p", "eliop2p_control_plugin": "eliop2p-control"}
MAX_LINES = 400


def installed_paths() -> set[str]:
    """
    Name the files of the distribution, or of the source tree that stands in for it in
    an editable installation.
    """
    recorded = {str(path) for path in distribution("eliop2p").files or ()}
    if any(path.startswith("eliop2p/") for path in recorded):
        return recorded
    root = PACKAGE.parent
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


class DistributionTests(SynchronousTestCase):
    """
    The files of the distribution.
    """

    def test_plugins_only(self) -> None:
        """
        Nothing but the two plugins is put into Twisted's package, above all no
        ``__init__.py``, which would overwrite Twisted's own.
        """
        ours = {
            path
            for path in installed_paths()
            if path.startswith("twisted/")
            and "__pycache__" not in path
            and not path.endswith("dropin.cache")
        }
        self.assertEqual(ours, {f"twisted/plugins/{name}.py" for name in PLUGINS})

    def test_typed(self) -> None:
        """
        Type checkers are told that the package has annotations.
        """
        self.assertTrue(files("eliop2p").joinpath("py.typed").is_file())

    def test_console_script(self) -> None:
        """
        The console script is installed and can be loaded.
        """
        (script,) = entry_points(group="console_scripts", name="eliop2p")
        self.assertTrue(callable(script.load()))


class ServiceMakerTests(SynchronousTestCase):
    """
    The plugins of twist and twistd.
    """

    def test_makers(self) -> None:
        """
        Each plugin module holds one service maker, whose options and service can be
        found.
        """
        for module_name, tapname in PLUGINS.items():
            module = importlib.import_module(f"twisted.plugins.{module_name}")
            (maker,) = (
                value
                for value in vars(module).values()
                if IServiceMaker.providedBy(value)
            )
            verifyObject(IServiceMaker, maker)
            self.assertEqual(maker.tapname, tapname)
            self.assertTrue(callable(maker.options))
            self.assertTrue(callable(maker.makeService))


class SourceTests(SynchronousTestCase):
    """
    The sources themselves.
    """

    def test_modules_are_small(self) -> None:
        """
        No module is longer than one can read at a sitting.
        """
        long = {
            str(path.relative_to(PACKAGE)): count
            for path in PACKAGE.rglob("*.py")
            if (count := path.read_text(encoding="utf-8").count("\n")) > MAX_LINES
        }
        self.assertEqual(long, {})
