"""
Makes manifests of the Helm chart where there is no helm: those of Go's templates that
the chart uses, no more. What it does not know it refuses.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import yaml

_TAG = re.compile(r"(\s*)\{\{-|\{\{")
_END = re.compile(r"-\}\}(\s*)|\}\}")
_TOKEN = re.compile(
    r'\s*(?:(?P<text>"[^"]*")|(?P<number>\d+)|(?P<mark>\)\.\w+|[()|])'
    r"|(?P<path>\$?\.[\w.]*|\$\w+(?:\.\w+)*)|(?P<word>\w+))"
)

Scope = dict[str, Any]


class ChartError(Exception):
    """
    The chart cannot be rendered.
    """


@attrs.define
class _Block:
    """
    A part of a template that something decides about.
    """

    opening: str
    content: "list[str | _Action | _Block]" = attrs.Factory(list)


@attrs.frozen
class _Action:
    text: str


def _pieces(source: str) -> Iterator[tuple[str, str]]:
    """
    Cut a template into texts and what stands in braces.
    """
    place = 0
    while (found := _TAG.search(source, place)) is not None:
        yield "text", source[place : found.start()]
        end = _END.search(source, found.end())
        if end is None:
            raise ChartError("braces are not closed")
        yield "action", source[found.end() : end.start()].strip()
        place = end.end()
    yield "text", source[place:]


def _parse(source: str) -> list[str | _Action | _Block]:
    stack = [_Block("")]
    for kind, text in _pieces(source):
        word = text.partition(" ")[0]
        if kind == "text":
            stack[-1].content.append(text)
        elif word in {"if", "with", "define"}:
            block = _Block(text)
            stack[-1].content.append(block)
            stack.append(block)
        elif word == "end":
            stack.pop()
        else:
            stack[-1].content.append(_Action(text))
    if len(stack) != 1:
        raise ChartError("blocks and their ends do not match")
    return stack[0].content


def _to_yaml(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=False)
    return text.removesuffix("\n")


def _nindent(count: int, text: str) -> str:
    pad = " " * count
    return "\n" + "\n".join(pad + line for line in text.split("\n"))


def _default(fallback: object, value: object = None) -> object:
    return value or fallback


FUNCTIONS: dict[str, Callable[..., object]] = {
    "b64enc": lambda text: base64.b64encode(text.encode()).decode(),
    "default": _default,
    "dict": dict,
    "index": lambda value, key: value.get(key),
    "lookup": lambda *_: {"data": {}},
    "nindent": _nindent,
    "not": lambda value: not value,
    "print": lambda *texts: "".join(map(str, texts)),
    "printf": lambda form, *values: form % values,
    "quote": lambda value: f'"{value}"',
    "randAlphaNum": lambda count: "x" * count,
    "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest(),
    "toYaml": _to_yaml,
}


class Chart:
    """
    A chart with values.

    Args:
        directory: Where it is.
        values: Over those of the chart.
        release: What the release is called.
    """

    def __init__(
        self, directory: Path, values: Mapping[str, Any], release: str = "x"
    ) -> None:
        self._directory = directory
        self._defined: dict[str, list[str | _Action | _Block]] = {}
        about = yaml.safe_load((directory / "Chart.yaml").read_text())
        defaults = yaml.safe_load((directory / "values.yaml").read_text())
        self._values = _merged(defaults, values)
        self._root: Scope = {
            "Values": self._values,
            "Chart": {"Name": about["name"], "AppVersion": about["appVersion"]},
            "Release": {"Name": release, "Namespace": "default", "Service": "Helm"},
            "Template": {"BasePath": "templates"},
        }

    def manifests(self) -> list[dict[str, Any]]:
        """
        Make all manifests.

        Raises:
            jsonschema.ValidationError: The values are not what the chart's schema says.
            ChartError: A template is wrong, or uses what is not known here.
            yaml.YAMLError: What comes of it is no YAML.
        """
        schema = yaml.safe_load((self._directory / "values.schema.json").read_text())
        jsonschema.validate(self._values, schema)
        for path in sorted((self._directory / "templates").glob("*.tpl")):
            self._render(_parse(path.read_text()), self._root, {})
        found: list[dict[str, Any]] = []
        for path in sorted((self._directory / "templates").glob("*.yaml")):
            text = self._file(path.name)
            found += [each for each in yaml.safe_load_all(text) if each]
        return found

    def _file(self, name: str) -> str:
        path = self._directory / "templates" / name
        return self._render(_parse(path.read_text()), self._root, {"$": self._root})

    def _render(
        self, parts: list[str | _Action | _Block], dot: object, names: Scope
    ) -> str:
        made = []
        for part in parts:
            if isinstance(part, str):
                made.append(part)
            elif isinstance(part, _Action):
                made.append(self._act(part.text, dot, names))
            else:
                made.append(self._decide(part, dot, names))
        return "".join(made)

    def _decide(self, block: _Block, dot: object, names: Scope) -> str:
        word, _, rest = block.opening.partition(" ")
        if word == "define":
            self._defined[rest.strip('"')] = block.content
            return ""
        value = self._value(rest, dot, names)
        if not value:
            return ""
        return self._render(block.content, value if word == "with" else dot, names)

    def _act(self, text: str, dot: object, names: Scope) -> str:
        name, assigned, rest = text.partition(" := ")
        if assigned:
            names[name] = self._value(rest, dot, names)
            return ""
        if text.startswith("/*"):
            return ""
        value = self._value(text, dot, names)
        if value is None:
            raise ChartError(f"{text} is nothing")
        return str(value)

    # --- expressions

    def _value(self, text: str, dot: object, names: Scope) -> Any:
        tokens: list[str] = []
        place = 0
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise ChartError(f"what is {text[place:]!r}?")
            tokens.append(found[0].strip())
            place = found.end()
        value = self._pipeline(tokens, dot, names)
        if tokens:
            raise ChartError(f"{text} goes on behind its end")
        return value

    def _pipeline(self, tokens: list[str], dot: object, names: Scope) -> Any:
        value = self._call(tokens, dot, names, [])
        while tokens and tokens[0] == "|":
            tokens.pop(0)
            value = self._call(tokens, dot, names, [value])
        return value

    def _call(
        self, tokens: list[str], dot: object, names: Scope, last: list[object]
    ) -> Any:
        function = tokens.pop(0) if tokens and tokens[0].isidentifier() else ""
        given: list[object] = []
        while tokens and tokens[0][0] not in "|)":
            given.append(self._operand(tokens, dot, names))
        given += last
        if not function:
            if len(given) != 1:
                raise ChartError("values without a function between them")
            return given[0]
        if function == "include":
            return self._include(*given)
        if function not in FUNCTIONS:
            raise ChartError(f"{function} is not known here")
        return FUNCTIONS[function](*given)

    def _operand(self, tokens: list[str], dot: object, names: Scope) -> Any:
        token = tokens.pop(0)
        if token == "(":
            value = self._pipeline(tokens, dot, names)
            return _within(value, tokens.pop(0)[1:])
        if token.startswith('"') or token.isdecimal():
            return yaml.safe_load(token)
        if token.isidentifier():
            return self._call([token], dot, names, [])
        name, _, rest = token.partition(".")
        known = {**names, "": dot, "$": self._root}
        return _within(known[name], rest)

    def _include(self, name: object, dot: object) -> str:
        if str(name).startswith("templates/"):
            return self._file(str(name).rpartition("/")[2])
        if name not in self._defined:
            raise ChartError(f"{name} is not defined")
        return self._render(self._defined[str(name)], dot, {})


def _within(value: Any, path: str) -> Any:
    """
    Follow the names of a path. In Go one that is missing is nothing; here it is an
    error, since the chart has a default for everything.
    """
    for name in filter(None, path.split(".")):
        if not isinstance(value, dict) or name not in value:
            raise ChartError(f"there is no {path}")
        value = value[name]
    return value


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for name, value in over.items():
        old = made.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            made[name] = _merged(old, value)
        else:
            made[name] = value
    return made
