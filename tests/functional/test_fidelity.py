"""
The same requests, to a store itself and through a node: nobody can tell them apart.
"""

import contextlib
import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.functional.fidelity.cases import Case, Maker, Signer, Stored, objects
from tests.functional.fidelity.wire import Received, Sent, Wire
from tests.functional.fidelity.writes import READS, WRITES, path_of
from tests.functional.one_node import OneNode, make_node
from tests.functional.stores.store import RealStore


@pytest.fixture(params=["rgw", "swift_store", "moto_store"])
def real_store(request: pytest.FixtureRequest) -> RealStore:
    """
    Each store in turn.
    """
    store = request.getfixturevalue(request.param)
    assert isinstance(store, RealStore)
    return store


@pytest.fixture
def node(real_store: RealStore, tmp_path: Path) -> Iterator[OneNode]:
    """
    Run a node with small chunks in front of the store.
    """
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("fidelity-fidelity\n")
    prepared = make_node(tmp_path)
    prepared.configure(
        storage={"type": "s3", "endpoint": real_store.url},
        cache={"chunk_size_mb": 1, "memory_cache_size_mb": 64},
        admin={"token_file": token},
    )
    try:
        prepared.start()
        yield prepared
    finally:
        prepared.close()


def evict(node: OneNode) -> None:
    """
    Have the node forget the objects that are read.
    """
    request = urllib.request.Request(
        f"{node.admin}/api/v1/evict",
        json.dumps({"bucket": READS, "prefix": ""}).encode(),
        {
            "Content-Type": "application/json",
            "Authorization": "Bearer fidelity-fidelity",
        },
    )
    urllib.request.urlopen(request, timeout=20).close()


class Bench:
    """
    A store, a node, and the same requests to both.
    """

    def __init__(self, store: RealStore, node: OneNode, *, header_only: bool) -> None:
        self.stored = objects()
        self.maker = Maker(self.stored, header_only=header_only)
        self._node = node
        host = f"127.0.0.1:{store.port}".encode()
        self._prefix = b"http://" + host
        self._signer = Signer(store, host)
        self._direct = Wire(store.port)
        self._through = Wire(node.ports.proxy)
        self._forward = Wire(node.ports.proxy)
        self.caches: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()

    def close(self) -> None:
        """
        Close the connections.
        """
        for wire in (self._direct, self._through, self._forward):
            wire.close()

    def prepare(self) -> None:
        """
        Make buckets and objects.
        """
        for bucket in (READS, WRITES):
            self._do(Sent(b"PUT", path_of(bucket), ((b"Content-Length", b"0"),)))
        for stored in self.stored:
            self.put(READS, stored)

    def put(self, bucket: str, stored: Stored) -> None:
        """
        Put an object, past the node.
        """
        length = (b"Content-Length", b"%d" % len(stored.body))
        target = path_of(bucket, stored.key)
        headers = (*stored.headers, length)
        self._do(Sent(b"PUT", target, headers, stored.body), stored.body)

    def _do(self, sent: Sent, payload: bytes = b"") -> None:
        case = Case(0, "", sent, "v4", payload=payload, signs_more=False)
        answer = self._direct.ask(self._sign(case))
        assert answer.status.split(b" ")[1] in {b"200", b"204", b"409"}, answer

    def differences(self, case: Case) -> list[str]:
        """
        Send a case every way there is.

        Returns:
            What differs.
        """
        if case.resets:
            return self._differences_of_write(case)
        sent = self._sign(case)
        expected = self._direct.ask(sent).comparable()
        # Swift ends the answers to some HEADs with a chunk that nobody expects.
        self._direct.close()
        evict(self._node)
        found = []
        for name, wire, prefix in (
            ("cold", self._through, b""),
            ("warm", self._through, b""),
            ("forward, warm", self._forward, self._prefix),
            ("forward, cold", self._forward, self._prefix),
            ("whole before", self._through, b""),
        ):
            if name in {"forward, cold", "whole before"}:
                evict(self._node)
            if name == "whole before" and case.reads:
                self._through.ask(self._sign(self._whole(case)))
            answer = wire.ask(sent, prefix)
            self.caches[f"{name} {answer.cache.decode()}"] += 1
            found += _compare(name, expected, answer.comparable())
        self.statuses[expected.status.split(b" ")[1].decode()] += 1
        return found

    def _whole(self, case: Case) -> Case:
        sent = Sent(b"GET", path_of(READS, case.reads), ())
        return Case(0, "", sent, "v4")

    def _differences_of_write(self, case: Case) -> list[str]:
        answers = []
        sent = self._sign(case)
        for wire, prefix in (
            (self._direct, b""),
            (self._through, b""),
            (self._forward, self._prefix),
        ):
            self.put(WRITES, Stored(case.resets, b"as at first", ()))
            answer = wire.ask(sent, prefix)
            answers.append(answer.comparable(b"last-modified"))
            # A store that refuses an upload may leave its body unread.
            wire.close()
        expected = answers[0]
        self.statuses[expected.status.split(b" ")[1].decode()] += 1
        return [
            *_compare("reverse", expected, answers[1]),
            *_compare("forward", expected, answers[2]),
        ]

    def _sign(self, case: Case) -> Sent:
        return self._signer.sign(case, datetime.now(UTC))


def _found(bench: Bench, case: Case) -> list[str]:
    """
    Compare a case; one that gets no answer at all differs, too.
    """
    try:
        return bench.differences(case)
    except (OSError, EOFError) as error:
        bench.close()
        return [f"  {error!r}"]


def _compare(name: str, expected: Received, answer: Received) -> list[str]:
    if answer == expected:
        return []
    return [
        f"  {name}: {field}: {_only(theirs, own)} through the node, "
        f"{_only(own, theirs)} direct"
        for field in ("interim", "status", "headers", "body", "whole")
        if (theirs := getattr(answer, field)) != (own := getattr(expected, field))
    ]


def _only(value: object, other: object) -> str:
    """
    Show a value, of headers only those that the other does not have.
    """
    if isinstance(value, tuple) and isinstance(other, tuple):
        value = [each for each in value if each not in other] or value
    if isinstance(value, bytes) and len(value) > 400:
        return f"{len(value)} bytes {value[:200]!r}..."
    return repr(value)


def test_no_difference(
    real_store: RealStore, node: OneNode, request: pytest.FixtureRequest
) -> None:
    """
    Status, head (names, case, order, values but for dates and request ids) and body
    are the store's own, of every request, cold and warm, reverse and forward.
    """
    count = request.config.getoption("--requests")
    first = request.config.getoption("--first-seed")
    assert isinstance(count, int)
    assert isinstance(first, int)
    bench = Bench(real_store, node, header_only=real_store.name == "moto")
    print(f"{real_store.name}: seeds {first} to {first + count - 1}")
    wrong = []
    with contextlib.closing(bench):
        bench.prepare()
        for seed in range(first, first + count):
            case = bench.maker.make(seed)
            if found := _found(bench, case):
                wrong.append("\n".join([f"seed {seed}: {case.name}", *found]))
    print(f"statuses: {dict(sorted(bench.statuses.items()))}")
    print(f"caches: {dict(sorted(bench.caches.items()))}")
    assert not wrong, f"{len(wrong)} of {count} differ:\n" + "\n".join(wrong[:20])
    assert any(name.startswith("warm HIT") for name in bench.caches)
