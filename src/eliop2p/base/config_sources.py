"""
What was given: texts from a file, the environment and the command line, with the place
each came from. Nothing here knows what a text means.
"""

import configparser
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from eliop2p.base.config_keys import (
    BY_PATH,
    BY_VARIABLE,
    ENVIRONMENT_PREFIX,
    KEYS,
    SECTIONS,
    Key,
)
from eliop2p.base.errors import ConfigProblem
from eliop2p.base.redaction import redact
from eliop2p.base.secret import REDACTED

_SERVICE_LINK = re.compile(
    r"ELIOP2P(_\w+)?(_SERVICE_HOST|_SERVICE_PORT(_\w+)?"
    r"|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://.*")


@attrs.frozen
class Given:
    """
    A text that somebody gave for a key.

    Attributes:
        text: What was written.
        source: Where: ``default``, ``node.ini:12``, ``environment ELIOP2P_X`` or
            ``flag --x``.
        where: The key and the place, for an error message.
        base: The directory that a relative path is meant from.
        line: The line in the file, 0 elsewhere.
    """

    text: str
    source: str
    where: str
    base: Path
    line: int = 0


def shown(key: Key, text: str) -> str:
    """
    Give the text of a key as it may be shown: without a secret, and without the
    password that somebody may have put into an address.
    """
    return REDACTED if key.kind.secret and text else redact(text)


class Problems:
    """
    Collects what is wrong, to be told all at once.

    Attributes:
        incomplete: Whether a source could not be read to its end, so that what it did
            not give says nothing.
    """

    def __init__(self) -> None:
        self.incomplete = False
        self._found: list[tuple[int, ConfigProblem]] = []

    def add(self, where: str, value: str, reason: str, line: int = 0) -> None:
        """
        Note a problem.

        Args:
            where: What it concerns.
            value: The offending text, redacted if need be.
            reason: What is wrong and what would be right.
            line: The line in the file, 0 when it is elsewhere.
        """
        self._found.append((line, ConfigProblem(where, value, reason)))

    def add_value(self, key: Key, given: Given, reason: str) -> None:
        """
        Note a problem with the value of a key.
        """
        self.add(given.where, shown(key, given.text), reason, given.line)

    def listed(self) -> tuple[ConfigProblem, ...]:
        """
        Give what was found: the file's problems by line, then the others.
        """
        ordered = sorted(self._found, key=lambda found: (not found[0], found[0]))
        return tuple(problem for _, problem in ordered)


def nearest(word: str, known: Iterable[str]) -> str:
    """
    Give the end of a sentence that suggests the known word most like the given one.
    """
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


class _LineParser(configparser.RawConfigParser):
    """
    A parser that remembers on which line each key stands.

    configparser calls optionxform once for each key while it reads, and takes one line
    at a time: between the two, the current line is the key's. Lines lose their
    indentation on the way in, so that none continues the one before: no key needs it.
    """

    def __init__(self) -> None:
        super().__init__(interpolation=None, default_section="", strict=False)
        self.keys_seen: list[tuple[str, str, int]] = []
        self.sections_seen: list[tuple[str, int]] = []
        self._line = 0
        self._reading = False

    def optionxform(self, optionstr: str) -> str:
        name = optionstr.lower()
        if self._reading and self.sections_seen:
            self.keys_seen.append((self.sections_seen[-1][0], name, self._line))
        return name

    def _count(self, text: str) -> Iterator[str]:
        for self._line, raw in enumerate(text.split("\n"), 1):
            line = raw.strip()
            if header := self.SECTCRE.match(line):
                self.sections_seen.append((header["header"], self._line))
            yield line

    def read_text(self, text: str, name: str) -> None:
        """
        Read the text of a file.

        Raises:
            configparser.Error: It is not INI; what could be read is there all the same.
        """
        self._reading = True
        try:
            self.read_file(self._count(text), name)
        finally:
            self._reading = False


def _read_text(path: Path, problems: Problems) -> str:
    """
    Read a file as UTF-8, noting a problem when that cannot be done.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; check the path and its permissions"
        problems.add(str(path), "", reason)
        problems.incomplete = True
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = "is not UTF-8; save the file in that encoding"
        problems.add(f"{path}:{line}", "", reason, line)
        problems.incomplete = True
        return ""


def _parse(text: str, name: str, problems: Problems) -> _LineParser:
    """
    Parse a file, noting its syntax errors.
    """
    parser = _LineParser()
    try:
        parser.read_text(text, name)
    except configparser.MissingSectionHeaderError as error:
        reason = "stands before any section; begin with a line such as [general]"
        problems.add(f"{name}:{error.lineno}", "", reason, error.lineno)
        problems.incomplete = True
    except configparser.ParsingError as error:
        for line, _ in error.errors:
            reason = "is neither a [section], nor key = value, nor a # comment"
            problems.add(f"{name}:{line}", "", reason, line)
    return parser


def _note_repeats(
    seen: Iterable[tuple[str, int]], name: str, problems: Problems
) -> None:
    """
    Note what stands in a file more than once.
    """
    first: dict[str, int] = {}
    for label, line in seen:
        if label in first:
            reason = f"was given on line {first[label]} already; keep one of them"
            problems.add(f"{label} ({name}:{line})", "", reason, line)
        first.setdefault(label, line)


def read_file(path: Path, problems: Problems) -> dict[str, Given]:
    """
    Read an INI file.

    Args:
        path: The file.
        problems: Takes what is wrong with it.

    Returns:
        What it gives, by ``section.key``.
    """
    parser = _parse(_read_text(path, problems), str(path), problems)
    base = path.absolute().parent
    name = str(path)
    for section, line in parser.sections_seen:
        if section not in SECTIONS:
            reason = f"there is no such section{nearest(section, SECTIONS)}"
            problems.add(f"[{section}] ({name}:{line})", "", reason, line)
    labels = [(f"[{section}]", line) for section, line in parser.sections_seen]
    _note_repeats(labels, name, problems)
    labels = [(f"[{section}] {key}", line) for section, key, line in parser.keys_seen]
    _note_repeats(labels, name, problems)
    given: dict[str, Given] = {}
    for section, option, line in parser.keys_seen:
        if section not in SECTIONS:
            continue
        where = f"[{section}] {option} ({name}:{line})"
        if f"{section}.{option}" not in BY_PATH:
            problems.add(where, "", _unknown_key(section, option), line)
            continue
        text = parser.get(section, option, fallback="")
        given[f"{section}.{option}"] = Given(text, f"{name}:{line}", where, base, line)
    return given


def _unknown_key(section: str, option: str) -> str:
    """
    Say that a section has no such key, and where it may be or what it may be called.
    """
    elsewhere = [key.label for key in KEYS if key.name == option]
    if elsewhere:
        return f"there is no such key; did you mean {elsewhere[0]}?"
    siblings = [key.name for key in KEYS if key.section == section]
    return f"there is no such key{nearest(option, siblings)}"


def _is_service_link(name: str, value: str) -> bool:
    """
    Tell whether Kubernetes put a variable there for a Service called eliop2p-something.
    """
    if _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_PORT") and bool(_SERVICE_LINK_VALUE.fullmatch(value))


def read_environment(
    environ: Mapping[str, str], problems: Problems
) -> dict[str, Given]:
    """
    Read the variables that begin with ``ELIOP2P_``; an empty one counts as not set.

    Args:
        environ: The environment.
        problems: Takes unknown variables and contradictions.

    Returns:
        What they give, by ``section.key``.
    """
    given: dict[str, Given] = {}
    for name in sorted(environ):
        value = environ[name]
        if not name.startswith(ENVIRONMENT_PREFIX) or not value:
            continue
        if _is_service_link(name, value):
            continue
        key = BY_VARIABLE.get(name)
        source = f"environment {name}"
        if key is None:
            reason = f"there is no such variable{nearest(name, BY_VARIABLE)}"
            problems.add(source, "", reason)
            continue
        other = given.get(key.path)
        if other is not None and other.text != value:
            reason = f"contradicts {other.source}, which means the same; set one"
            problems.add(source, "", reason)
        given[key.path] = Given(value, source, f"{key.label} ({source})", Path.cwd())
    return given


def read_flags(flags: Mapping[str, str], problems: Problems) -> dict[str, Given]:
    """
    Take what the command line gave.

    Args:
        flags: Texts by ``section.key``.
        problems: Takes unknown names.

    Returns:
        What they give, by ``section.key``.
    """
    given: dict[str, Given] = {}
    for path, text in flags.items():
        key = BY_PATH.get(path)
        if key is None:
            reason = f"there is no such key{nearest(path, BY_PATH)}"
            problems.add(f"flag {path}", "", reason)
            continue
        source = f"flag --{key.flags[0]}"
        given[path] = Given(text, source, f"{key.label} ({source})", Path.cwd())
    return given
