"""
Tests for :mod:`eliop2p.cli.verify`.
"""

import json
from pathlib import Path

from eliop2p.cache.layout import ChunkName
from eliop2p.cache.partial_layout import PartialName
from eliop2p.model.chunk import Chunk
from eliop2p.testing.conformance import made_up
from tests.cache.disk_case import KIB, DiskCase
from tests.cli.capture import run_cli


class VerifyTests(DiskCase):
    """
    The command on a directory that a tier has filled.
    """

    capacity = 1024 * KIB

    def setUp(self) -> None:
        """
        Put four chunks, and damage two of them.
        """
        super().setUp()
        for number in range(4):
            self.put(number)
        self.file_of(1).write_bytes(b"short")
        content = self.file_of(2).read_bytes()
        self.file_of(2).write_bytes(b"?" + content[1:])

    def name(self, number: int) -> str:
        """
        Name the file of a chunk as the command does.
        """
        return str(self.file_of(number).relative_to(self.path))

    def test_bad(self) -> None:
        """
        Bad chunks are named with what is wrong with them, and the exit code tells.
        While a node uses the directory nothing is changed.
        """
        ran = run_cli("verify", self.path)
        self.assertEqual(ran.code, 1)
        self.assertIn(f"{self.name(1)}: has 5 bytes", ran.output)
        self.assertIn(f"{self.name(2)}: has another content", ran.output)
        self.assertIn("4 chunks, 0 parts of chunks, 32.0 KiB, 2 bad", ran.output)
        self.assertTrue(self.file_of(1).exists())

    def test_remove(self) -> None:
        """
        Bad chunks are removed when asked for, and the others are not.
        """
        self.files.release()
        ran = run_cli("verify", self.path, "--remove")
        self.assertEqual(ran.code, 1)
        self.assertIn("2 bad, 2 removed", ran.output)
        left = [self.file_of(number).exists() for number in range(4)]
        self.assertEqual(left, [True, False, False, True])
        self.assertEqual(run_cli("verify", self.path).code, 0)

    def test_remove_in_use(self) -> None:
        """
        Nothing is removed while a node uses the directory.
        """
        ran = run_cli("verify", self.path, "--remove")
        self.assertEqual(ran.code, 1)
        self.assertIn("in use by another process", ran.errors)
        self.assertTrue(self.file_of(1).exists())

    def test_json(self) -> None:
        """
        The same as JSON.
        """
        Path(self.path, "00", "stranger").write_bytes(bytes(10))
        report = json.loads(run_cli("verify", self.path, "--json").output)
        self.assertEqual(
            sorted(bad["file"] for bad in report.pop("bad")),
            sorted([self.name(1), self.name(2)]),
        )
        self.assertEqual(
            report,
            {
                "directory": self.path,
                "chunks": 4,
                "parts": 0,
                "bytes": 4 * 8192,
                "unknown": 4096,
                "removed": 0,
            },
        )

    def test_parts(self) -> None:
        """
        What is there of chunks that are not whole is checked as well.
        """
        length = 8192
        parts = []
        for number in (1, 2, 5, 6):
            chunk_id, data, _ = made_up(number, length)
            chunk = Chunk(chunk_id, number, 0, length)
            self.successResultOf(self.backend.remove(chunk_id))
            pieces = [(0, data[:1000]), (2000, data[2000:4000])]
            keeping = self.backend.checkpoint(chunk, pieces, from_store=True)
            self.assertTrue(self.successResultOf(keeping))
            parts.append(Path(self.path, PartialName(chunk_id, length).path))
        with parts[2].open("r+b") as file:
            file.seek(3000)
            file.write(b"????")
        parts[3].unlink()
        ran = run_cli("verify", self.path)
        self.assertEqual(ran.code, 1)
        self.assertIn(
            f"partial/{parts[2].name}: has another content in 1 of its extents",
            ran.output,
        )
        self.assertIn("2 chunks, 3 parts of chunks, 24.8 KiB, 1 bad", ran.output)
        self.files.release()
        self.assertIn("1 removed", run_cli("verify", self.path, "--remove").output)
        self.assertEqual([path.exists() for path in parts[:3]], [True, True, False])
        self.assertEqual(run_cli("verify", self.path).code, 0)

    def test_configured(self) -> None:
        """
        Without a directory it is that of the configuration.
        """
        ini = Path(self.mktemp())
        ini.write_text(
            f"[cache]\ndisk_cache_path = {Path(self.path).absolute()}\n"
            "[storage]\nendpoint = http://127.0.0.1:1\n",
            encoding="utf-8",
        )
        ran = run_cli("verify", "--config", str(ini))
        self.assertEqual(ran.code, 1)
        self.assertIn("2 bad", ran.output)
        self.assertEqual(run_cli("verify", self.path, "--config", str(ini)).code, 64)

    def test_evicted_meanwhile(self) -> None:
        """
        A chunk that a running node drops in the meantime is no fault.
        """
        for number in (1, 2):
            self.file_of(number).unlink()
        chunk_id, _, digest = made_up(9)
        gone = Path(self.path, ChunkName(chunk_id, 5, digest).path)
        gone.symlink_to(gone.with_name("nowhere"))
        self.assertEqual(run_cli("verify", self.path).code, 1)
        gone.unlink()
        self.assertEqual(run_cli("verify", self.path).code, 0)

    def test_no_cache(self) -> None:
        """
        What is no cache, or one of a later version, is refused and not changed.
        """
        empty = Path(self.mktemp())
        empty.mkdir()
        ran = run_cli("verify", str(empty))
        self.assertEqual(ran.code, 1)
        self.assertIn("no disk cache", ran.errors)
        self.assertEqual(list(empty.iterdir()), [])
        Path(empty, "FORMAT").write_text("9\n", encoding="ascii")
        ran = run_cli("verify", str(empty))
        self.assertEqual(ran.code, 1)
        self.assertIn("format '9'", ran.errors)
