"""
Somebody else's cache backend: built into a wheel of its own, installed beside ours,
found by its name.
"""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "eliop2p-example-backend"
GUIDE = ROOT / "docs" / "how-to" / "write-a-cache-backend.md"

WHERE = """
import eliop2p.cache.registry as registry
from eliop2p.plugins import example_backend
print(registry.__file__)
print(example_backend.__file__)
print(",".join(sorted(registry.backend_factories())))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """
    Run a command that must succeed, and give its output.
    """
    surroundings = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PIP_", "COVERAGE"))
    }
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, f"{command}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def build(project: Path, into: Path) -> Path:
    """
    Build the wheel of a project, with the build backend that is installed here.
    """
    pip = (sys.executable, "-m", "pip", "wheel")
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir")
    run(*pip, *options, into, project, cwd=into)
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """
    Build the project's wheel and the example's.
    """
    pytest.importorskip("hatchling")
    return (
        build(ROOT, tmp_path_factory.mktemp("ours")),
        build(EXAMPLE, tmp_path_factory.mktemp("example")),
    )


@pytest.fixture(scope="module")
def python(wheels: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Install both wheels into an environment of their own.

    What they depend on is that of the running environment, which is appended to the
    path. It may hold this project too, as a link to its sources; the link is a ``.pth``
    file, and those are only obeyed in the environment's own directory.
    """
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", home, cwd=home)
    interpreter = home / "bin" / "python"
    pip = (interpreter, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet")
    run(*pip, *wheels, cwd=home)
    packages = run(
        interpreter,
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        cwd=home,
    ).strip()
    dependencies = sysconfig.get_path("purelib")
    Path(packages, "dependencies.pth").write_text(f"{dependencies}\n")
    return interpreter


def test_wheels(wheels: tuple[Path, Path]) -> None:
    """
    The example's wheel puts one module into our plugin package, and nothing that would
    overwrite a file of ours.
    """
    ours, example = (set(zipfile.ZipFile(wheel).namelist()) for wheel in wheels)
    code = {name for name in example if ".dist-info/" not in name}
    assert code == {"eliop2p/plugins/example_backend.py"}
    assert "eliop2p/plugins/__init__.py" in ours
    assert not code & ours


def test_found(python: Path, tmp_path: Path) -> None:
    """
    The backend is found by its name, among ours, and both come from the wheels.
    """
    registry, example, names = run(python, "-c", WHERE, cwd=tmp_path).splitlines()
    environment = str(python.parents[1])
    assert registry.startswith(environment)
    assert example.startswith(environment)
    assert names == "compressed,directory,lmdb,memory"


def test_conformance(python: Path, tmp_path: Path) -> None:
    """
    The example's own tests, which are the conformance suite, pass where it is
    installed, with both runners.
    """
    module = tmp_path / "test_example_backend.py"
    module.write_bytes((EXAMPLE / "tests" / module.name).read_bytes())
    ran = run(
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        module.name,
        cwd=tmp_path,
    )
    assert " passed" in ran
    run(python, "-m", "twisted.trial", "test_example_backend", cwd=tmp_path)


def test_guide() -> None:
    """
    The guide shows the example as it is.
    """
    guide = GUIDE.read_text()
    for part in (
        "src/eliop2p/plugins/example_backend.py",
        "tests/test_example_backend.py",
        "pyproject.toml",
    ):
        assert f"\n{(EXAMPLE / part).read_text()}```\n" in guide, part
