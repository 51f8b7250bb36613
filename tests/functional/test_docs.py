"""
The documentation: what it points to is there, and what it tells readers to type works.
"""

import configparser
import os
import re
import signal
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.functional.documents import DOCUMENTS, ROOT, Block, anchors, blocks, links
from tests.functional.one_node import environment, run, script

TUTORIAL = ROOT / "docs" / "tutorial" / "first-cluster.md"
PORTS = (8080, 8081, 8082, 9000, 8180, 9100, 8182)
"""
The ports that the tutorial speaks of.
"""

BOUND = 300.0
_END = "--- end of block"


def names(documents: list[Path]) -> list[str]:
    """
    Name documents for pytest.
    """
    return [str(each.relative_to(ROOT)) for each in documents]


class TestLinks:
    """
    Where the documents point to.
    """

    @pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
    def test_there(self, document: Path) -> None:
        """
        Every relative link leads to a file that is there, and to a heading in it.
        """
        broken = []
        for link in links(document):
            if re.match(r"\w+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(link)
        assert broken == []

    def test_all_reached(self) -> None:
        """
        Every document is one click from the first.
        """
        linked = {
            (ROOT / link.partition("#")[0]).resolve()
            for link in links(ROOT / "README.md")
        }
        assert set(DOCUMENTS) - linked == {ROOT / "README.md"}


class TestSnippets:
    """
    What readers are to copy.
    """

    @pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
    def test_python(self, document: Path) -> None:
        """
        Python is Python.
        """
        for block in blocks(document):
            if block.language == "python":
                compile(block.text, str(document), "exec")

    @pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
    def test_shell(self, document: Path) -> None:
        """
        What is to be typed into a shell is shell.
        """
        for block in blocks(document):
            if block.language == "sh":
                parsed = subprocess.run(
                    ["bash", "-n"],
                    input=block.text,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert parsed.stderr == ""

    @pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
    def test_configuration(self, document: Path, tmp_path: Path) -> None:
        """
        Configurations are ones that a node or a control plane takes.
        """
        (tmp_path / "store").mkdir()
        for index, text in enumerate(configurations(document)):
            path = tmp_path / f"{index}.ini"
            path.write_text(text)
            for match in re.finditer(r"^\w+_file = (.+)$", text, re.MULTILINE):
                secret = tmp_path / match[1]
                secret.write_text("0123456789abcdef")
                secret.chmod(0o600)
            flags = [] if "[storage]" in text else ["--control"]
            ran = run("eliop2p", "config", "check", *flags, path.name, cwd=tmp_path)
            assert (ran.stdout, ran.stderr) == (f"{path.name}: ok\n", "")


def configurations(document: Path) -> Iterator[str]:
    """
    Find the complete configurations in a document, in blocks of their own or written
    by a shell.
    """
    for block in blocks(document):
        if block.language == "ini":
            yield block.text
        elif block.language == "sh":
            for match in re.finditer(
                r"<<END\n(\[.*?)^END$", block.text, re.MULTILINE | re.DOTALL
            ):
                if "[storage]" in match[1] or "[control_plane_server]" in match[1]:
                    yield match[1]


class TestFirstScreen:
    """
    The commands that the README begins with.
    """

    def test_commands(self) -> None:
        """
        There is one command that shows the product, and one that tests it.
        """
        marked = {
            block.mark: block.text for block in blocks(ROOT / "README.md") if block.mark
        }
        assert set(marked) == {"demo-command", "test-command"}
        assert marked["demo-command"].rstrip().endswith("eliop2p demo")
        assert "tox run -e" in marked["test-command"]
        environments = re.findall(r"tox run -e (\S+)", marked["test-command"])
        tox = configparser.ConfigParser(interpolation=None)
        tox.read(ROOT / "tox.ini")
        for name in environments[0].split(","):
            assert f"testenv:{name}" in tox


class TestReadme:
    """
    What the README has readers type to use it.
    """

    def test_node_runs(self, tmp_path: Path) -> None:
        """
        The block that makes a configuration and starts a node ends in a node that
        answers on the ports that the README names.
        """
        prefix = alone()
        if not prefix and taken():
            pytest.skip(f"ports {taken()} are taken, and there is no other network")
        (block,) = [
            each.text
            for each in blocks(ROOT / "README.md")
            if "twist eliop2p --config" in each.text
        ]
        text = (
            f"{block.rstrip()} > log 2>&1 &\n"
            "until curl -sf http://127.0.0.1:8082/readyz; do sleep 0.2; done\n"
            "curl -s -o /dev/null -D - http://127.0.0.1:8080/models/x\n"
            "kill $! && wait $!\n"
        )
        output = converse(prefix, text, tmp_path, ELIOP2P_GENERAL_DATA_DIR="data")
        assert output.startswith("ready\n")
        # Nobody answers at the example's store; the node says so.
        assert "HTTP/1.1 503" in output
        assert "X-Elio-Request-Id: " in output


@attrs.frozen
class Step:
    """
    Commands of the tutorial, and what they are said to show.
    """

    commands: str
    shown: str


def steps() -> list[Step]:
    """
    Find the steps of the tutorial that are to be run.
    """
    found: list[Step] = []
    previous: Block | None = None
    for block in blocks(TUTORIAL):
        if block.mark == "run":
            found.append(Step(block.text, ""))
        elif block.mark == "shows":
            assert previous is not None
            assert previous.mark == "run"
            found[-1] = attrs.evolve(found[-1], shown=block.text)
        previous = block
    return found


def shown_pattern(text: str) -> "re.Pattern[str]":
    """
    Make the pattern of what is said to be shown: three dots are anything, and runs of
    spaces are alike.
    """
    parts = [re.escape(" ".join(part.split())) for part in text.split("...")]
    return re.compile(r"\s*(.*)\s*".join(parts), re.DOTALL)


def alone() -> list[str]:
    """
    Give the start of a command line that runs a command with all ports for itself: in
    a network of its own where the system allows that.
    """
    prefix = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        subprocess.run([*prefix, "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return prefix


def taken() -> list[int]:
    """
    Find those of the tutorial's ports that somebody else has.
    """
    found = []
    for port in PORTS:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            found.append(port)
    return found


def converse(prefix: list[str], text: str, directory: Path, **variables: str) -> str:
    """
    Give commands to a shell.

    Returns:
        What it wrote.
    """
    (directory / "commands").write_text(text)
    known = environment(**variables)
    scripts = Path(script("python")).parent
    shell = subprocess.Popen(
        [*prefix, "bash", "-u", "commands"],
        cwd=directory,
        env={**known, "PATH": f"{scripts}:{known['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = shell.communicate(timeout=BOUND)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        output, _ = shell.communicate()
    return output


class TestTutorial:
    """
    The tutorial, from its first command to its last.
    """

    def test_works(self, tmp_path: Path) -> None:
        """
        Every command does what the text says that it does.
        """
        prefix = alone()
        if not prefix and taken():
            pytest.skip(f"ports {taken()} are taken, and there is no other network")
        listed = steps()
        text = "".join(f"{step.commands}echo '{_END}'\n" for step in listed)
        outputs = converse(prefix, text, tmp_path).split(f"{_END}\n")
        for step, output in zip(listed, outputs, strict=False):
            shown = shown_pattern(step.shown).search(" ".join(output.split()))
            assert shown, f"{step.commands}{output}"
        assert len(outputs) == len(listed) + 1


class TestDependencies:
    """
    What the product depends on.
    """

    def test_listed(self) -> None:
        """
        Every package that an installation brings along has a row that says why.
        """
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = [*project["project"]["dependencies"]]
        for extra in project["project"].get("optional-dependencies", {}).values():
            wanted += extra
        text = (ROOT / "docs/explanation/dependencies.md").read_text(encoding="utf-8")
        table = text.partition("\n## ")[0]
        listed = re.findall(r"^\| ([\w.-]+)", table, re.MULTILINE)
        names = {re.split(r"[^\w.-]", each)[0] for each in wanted}
        assert sorted(listed) == sorted({*names, "package"})
