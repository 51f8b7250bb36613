"""
What :mod:`eliop2p.base.config` says of wrong configurations.
"""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from eliop2p.base.config import load_control_config, load_node_config
from eliop2p.base.config_keys import KEYS
from eliop2p.base.errors import ConfigError
from eliop2p.base.secret import Secret
from tests.base.test_config import STORE, ConfigCase


class SourceErrorTests(ConfigCase):
    """
    What is wrong before any value is looked at.
    """

    def test_everything_at_once(self) -> None:
        """
        All problems of all sources are told together, the file's first, by line.
        """
        text = (
            "[proxy]\nlisten_port = x\nnonsense\nlisten_prt = 1\nlisten_port = 2\n"
            "[cach]\na = b\n[proxy]\n"
        )
        environ = {"ELIOP2P_PROXI_PORT": "1"}
        self.assertEqual(
            self.problems(text, environ, {**STORE, "p2p.selection_k": "11"}),
            [
                "FILE:3: is neither a [section], nor key = value, nor a # comment",
                (
                    "[proxy] listen_prt (FILE:4): there is no such key; "
                    "did you mean listen_port?"
                ),
                (
                    "[proxy] listen_port (FILE:5): was given on line 2 already; "
                    "keep one of them"
                ),
                "[cach] (FILE:6): there is no such section; did you mean cache?",
                "[proxy] (FILE:8): was given on line 1 already; keep one of them",
                (
                    "environment ELIOP2P_PROXI_PORT: there is no such variable; "
                    "did you mean ELIOP2P_PROXY_PORT?"
                ),
                (
                    "[p2p] selection_k (flag --p2p-selection-k) = '11': "
                    "expected a whole number from 1 to 10"
                ),
            ],
        )

    def test_key_of_another_section(self) -> None:
        """
        A key in the wrong section is told where it belongs.
        """
        (problem,) = self.problems("[general]\nselection_k = 1\n")
        self.assertIn("did you mean [p2p] selection_k?", problem)

    def test_default_section(self) -> None:
        """
        The [DEFAULT] of configparser is a section like any other: unknown.
        """
        (problem,) = self.problems("[DEFAULT]\nlisten_port = 1\n")
        self.assertIn("[DEFAULT] (FILE:1): there is no such section", problem)

    def test_no_section(self) -> None:
        """
        A key before any section is told so, with its line.
        """
        (problem,) = self.problems("# note\nnode_id = a\n")
        self.assertEqual(
            problem,
            "FILE:2: stands before any section; begin with a line such as [general]",
        )

    def test_not_utf8(self) -> None:
        """
        A file in another encoding is told so, with the line.
        """
        (problem,) = self.problems(b"[general]\nzone = caf\xe9\n", flags={})
        self.assertEqual(
            problem, "FILE:2: is not UTF-8; save the file in that encoding"
        )

    def test_unreadable(self) -> None:
        """
        A file that cannot be read is the only problem told, not what it lacks.
        """
        for path in (self.mktemp(), str(Path.cwd())):
            error = self.assertRaises(ConfigError, load_node_config, path, {}, {})
            (problem,) = error.problems
            self.assertEqual(problem.where, path)
            self.assertIn("cannot be read", problem.reason)

    def test_contradicting_variables(self) -> None:
        """
        The short and the long name of a key must not disagree.
        """
        environ = {"ELIOP2P_P2P_PORT": "1", "ELIOP2P_P2P_LISTEN_PORT": "2"}
        (problem,) = self.problems("", environ)
        self.assertIn("contradicts environment ELIOP2P_P2P_LISTEN_PORT", problem)

    def test_unknown_flag(self) -> None:
        """
        A key that does not exist is not taken from the command line either.
        """
        (problem,) = self.problems("", {}, {**STORE, "proxy.listn_port": "1"})
        self.assertIn("did you mean proxy.listen_port?", problem)

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        """
        Whatever stands in a file, it is read or refused as a configuration.
        """
        try:
            load_node_config(self.write(data), {}, STORE)
        except ConfigError as error:
            self.assertNotEqual(error.problems, ())

    @given(
        st.lists(
            st.sampled_from(
                ["[proxy]", " [p2p]", "listen_port = 1", "listen_port", "  more", "#x"]
            )
        )
    )
    def test_any_lines(self, lines: list[str]) -> None:
        """
        However sections, keys and noise are strung together, a key is never silently
        taken for another section's.
        """
        try:
            config = load_node_config(self.write("\n".join(lines)), {}, STORE)
        except ConfigError as error:
            self.assertNotEqual(error.problems, ())
            return
        section = ""
        expected = {"[proxy]": 8080, "[p2p]": 9000}
        for line in lines:
            if line.strip() in expected:
                section = line.strip()
            elif line == "listen_port = 1":
                expected[section] = 1
        self.assertEqual(config.proxy.listen_port, expected["[proxy]"])
        self.assertEqual(config.p2p.listen_port, expected["[p2p]"])


class ValueErrorTests(ConfigCase):
    """
    What is wrong with single values.
    """

    def test_wrong_values(self) -> None:
        """
        Each kind of value refuses what it is not, and says what it would take.
        """
        wrong = {
            "proxy.listen_port": ("65536", "-1", "", "1_0", "8080 ; proxy", "٣"),
            "control_plane.port": ("0",),
            "control_plane.endpoint": (
                "etcd://",
                "etcd://h/p",
                "h:x",
                "http://h/p",
                "::1",
                "h:0",
            ),
            "general.log_level": ("TRACE", ""),
            "general.node_id": ("a b", "-a", "a" * 65, "é"),
            "general.bind_address": ("eth0", "", "1.2.3"),
            "general.advertise_address": ("0.0.0.0", "a b", "::"),
            "general.data_dir": ("", "a\0b"),
            "cache.chunk_size_mb": ("3", "16", "8.0"),
            "cache.memory_cache_size_mb": ("0",),
            "cache.eviction_threshold": ("0", "1.1", "nan", "inf", "1e-1"),
            "cache.memory_backend": ("",),
            "storage.type": ("gcs",),
            "storage.custom_hosts": ("cdn.lan", "cdn.lan=", "=models", "a b=c"),
            "proxy.auth": ("none", ""),
        }
        for path, texts in wrong.items():
            for text in texts:
                problems = self.problems("", {}, {**STORE, path: text})
                self.assertEqual(len(problems), 1, problems)
                self.assertIn("expected", problems[0])

    def test_wrong_store(self) -> None:
        """
        A store of type s3 is an HTTP address without a path, and must be given.
        """
        for text in (
            "store:9001",
            "ftp://s",
            "http://s/bucket",
            "http://s?x",
            "http://",
        ):
            (problem,) = self.problems("", {}, {"storage.endpoint": text})
            self.assertIn("expected http:// or https://host[:port]", problem)
        (problem,) = self.problems("", {}, {})
        self.assertIn("[storage] endpoint: is not set", problem)

    def test_wrong_local_store(self) -> None:
        """
        A store of type local is a directory that exists.
        """
        for text in ("", self.mktemp()):
            flags = {"storage.type": "local", "storage.endpoint": text}
            (problem,) = self.problems("", {}, flags)
            self.assertIn("expected an existing directory", problem)

    def test_secrets_stay_hidden(self) -> None:
        """
        No error text shows a secret, nor the value of a key that may be a misspelt
        one, nor a password in an address.
        """
        text = (
            "[p2p]\ncluster_secret = hunter2\ncluster_secrett = hunter2\n"
            "cluster_secret_file = /nowhere\nhunter2\n"
        )
        environ = {"ELIOP2P_P2P_CLUSTER_SECRE": "hunter2"}
        flags = {"storage.endpoint": "http://me:hunter2@s"}
        problems = self.problems(text, environ, flags)
        self.assertEqual(len(problems), 5, problems)
        self.assertNotIn("hunter2", "".join(problems))

    @given(st.sampled_from([key.path for key in KEYS]), st.text(max_size=30))
    def test_any_text(self, path: str, text: str) -> None:
        """
        Whatever text a key is given, it is taken or refused as a configuration.
        """
        try:
            load_node_config(None, {}, {**STORE, path: text})
        except ConfigError as error:
            self.assertNotEqual(error.problems, ())


class ConflictTests(ConfigCase):
    """
    What is wrong with values together.
    """

    def test_eviction(self) -> None:
        """
        Eviction must end below where it begins; the blame names both.
        """
        (problem,) = self.problems("[cache]\neviction_target = 0.95\n")
        self.assertIn("eviction_target (FILE:2) = '0.95'", problem)
        self.assertIn("below eviction_threshold, which is 0.9", problem)

    def test_no_conflict_with_wrong_values(self) -> None:
        """
        A value that cannot be read is not compared with others as well.
        """
        text = "[cache]\neviction_threshold = x\neviction_target = 0.95\n"
        self.assertEqual(len(self.problems(text)), 1)

    def test_equal_ports(self) -> None:
        """
        Two listeners of a node need two ports where their addresses overlap.
        """
        (problem,) = self.problems("[p2p]\nlisten_port = 8080\n")
        self.assertIn("[p2p] listen_port (FILE:2)", problem)
        (problem,) = self.problems("[admin]\nlisten_port = 9000\n")
        self.assertIn("the listen_port of [p2p] as well", problem)

    def test_equal_ports_on_other_addresses(self) -> None:
        """
        Equal ports on different addresses are fine, and so is port 0 twice.
        """
        text = "[general]\nbind_address = 10.0.0.1\n[admin]\nlisten_port = 9000\n"
        self.assertEqual(self.node(text).admin.listen_port, 9000)
        text = "[p2p]\nlisten_port = 0\n[admin]\nlisten_port = 0\n"
        self.assertEqual(self.node(text).p2p.listen_port, 0)

    def test_sizes(self) -> None:
        """
        Nothing that holds chunks is smaller than one; no disk tier is no tier.
        """
        for path in ("cache.memory_cache_size_mb", "limits.inflight_memory_mb"):
            (problem,) = self.problems("", {}, {**STORE, path: "4"})
            self.assertIn("at least one chunk", problem)
        self.assertEqual(
            self.node(cache__disk_cache_size_mb="0").cache.disk_cache_size, 0
        )

    def test_ca_file(self) -> None:
        """
        The authorities' file must exist.
        """
        (problem,) = self.problems("[storage]\nca_file = missing.pem\n")
        self.assertIn("existing PEM file", problem)


class SecretFileTests(ConfigCase):
    """
    Secrets in files.
    """

    def test_read(self) -> None:
        """
        A secret is the line in its file, whatever it ends with.
        """
        path = self.write("s3cret\r\n")
        node = self.node(
            p2p__cluster_secret_file=path,
            control_plane__token_file=path,
            admin__token_file=path,
        )
        self.assertEqual(node.p2p.cluster_secret, Secret("s3cret"))
        self.assertEqual(node.control_plane.token, Secret("s3cret"))
        self.assertEqual(node.admin.token, Secret("s3cret"))
        control = load_control_config(None, {}, {"control_plane.token_file": path})
        self.assertEqual(control.token, Secret("s3cret"))

    def test_both(self) -> None:
        """
        A secret and a file for it exclude each other.
        """
        flags = {
            **STORE,
            "p2p.cluster_secret": "a",
            "p2p.cluster_secret_file": self.write("b"),
        }
        (problem,) = self.problems("", {}, flags)
        self.assertIn("[p2p] cluster_secret is set as well", problem)

    def test_unusable(self) -> None:
        """
        A file that others can read, that is missing, empty, long, binary or not a file
        is refused with the remedy.
        """
        for path, reason in (
            (self.write("a", mode=0o644), "chmod 600"),
            (self.mktemp(), "cannot be read: No such file"),
            (self.write(""), "expected one line"),
            (self.write("a\nb\n"), "expected one line"),
            (self.write("a" * 5000), "longer than 4096 bytes"),
            (self.write(b"\xff"), "not UTF-8"),
            (str(Path.cwd()), "is not a file"),
        ):
            flags = {**STORE, "p2p.cluster_secret_file": path}
            (problem,) = self.problems("", {}, flags)
            self.assertIn(reason, problem)
