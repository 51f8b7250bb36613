"""
Tests for :mod:`eliop2p.base.config`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from eliop2p.base.config import (
    ControlConfig,
    Effective,
    NodeConfig,
    default_data_dir,
    effective,
    load_control_config,
    load_node_config,
)
from eliop2p.base.config_keys import BY_FLAG, BY_PATH, BY_VARIABLE, KEYS
from eliop2p.base.errors import ConfigError
from eliop2p.base.secret import Secret

MIB = 1024 * 1024
STORE = {"storage.endpoint": "http://store:9001"}
PORTS = st.integers(1024, 7999)


class ConfigCase(SynchronousTestCase):
    """
    A test that writes configuration files.
    """

    def write(self, text: str | bytes, mode: int = 0o600) -> str:
        """
        Write a file and give its path.
        """
        path = Path(self.mktemp())
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return str(path)

    def node(self, text: str = "", **flags: str) -> NodeConfig:
        """
        Load a node's configuration whose store is known.
        """
        given = {path.replace("__", "."): text for path, text in flags.items()}
        return load_node_config(self.write(text), {}, STORE | given)

    def problems(
        self,
        text: str | bytes = "",
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, str] | None = None,
    ) -> list[str]:
        """
        Load a wrong configuration and give its problems, the file's name cut out.
        """
        path = self.write(text)
        error = self.assertRaises(
            ConfigError,
            load_node_config,
            path,
            environ or {},
            STORE if flags is None else flags,
        )
        return [str(problem).replace(path, "FILE") for problem in error.problems]


class KeyTableTests(SynchronousTestCase):
    """
    The table of keys.
    """

    def test_names_are_unique(self) -> None:
        """
        No two keys share a name in the file, the environment or on the command line.
        """
        self.assertEqual(len(BY_PATH), len(KEYS))
        for table, names in (
            (BY_FLAG, [flag for key in KEYS for flag in key.flags]),
            (BY_VARIABLE, [name for key in KEYS for name in key.variables]),
        ):
            self.assertEqual(len(table), len(names))

    def test_short_names(self) -> None:
        """
        The seven short names stand for the keys that operators expect.
        """
        expected = {
            "ELIOP2P_NODE_ID": "general.node_id",
            "ELIOP2P_BIND_ADDRESS": "general.bind_address",
            "ELIOP2P_LOG_LEVEL": "general.log_level",
            "ELIOP2P_CONTROL_PLANE": "control_plane.endpoint",
            "ELIOP2P_STORAGE_ENDPOINT": "storage.endpoint",
            "ELIOP2P_P2P_PORT": "p2p.listen_port",
            "ELIOP2P_PROXY_PORT": "proxy.listen_port",
        }
        for variable, path in expected.items():
            self.assertEqual(BY_VARIABLE[variable].path, path)
            flag = variable.removeprefix("ELIOP2P_").lower().replace("_", "-")
            self.assertEqual(BY_FLAG[flag].path, path)


class ValueTests(ConfigCase):
    """
    What values become.
    """

    def test_defaults(self) -> None:
        """
        With nothing but a store, every value is the documented default.
        """
        config = load_node_config(None, {}, STORE)
        self.assertEqual(config.proxy.listen_port, 8080)
        self.assertEqual(config.p2p.listen_port, 9000)
        self.assertEqual(config.admin.listen_port, 8082)
        self.assertEqual(config.admin.bind_address, "127.0.0.1")
        self.assertEqual(config.cache.memory_cache_size, 4096 * MIB)
        self.assertEqual(config.cache.disk_cache_size, 102400 * MIB)
        self.assertEqual(config.cache.chunk_size, 8 * MIB)
        self.assertEqual(config.limits.inflight_memory, 512 * MIB)
        self.assertEqual(config.p2p.selection_k, 5)
        self.assertIsNone(config.p2p.cluster_secret)
        self.assertIsNone(config.control_plane.token)
        self.assertEqual(config.control_plane.addresses, ())
        self.assertIsNone(config.admin.token)
        self.assertEqual(config.general.node_id, "")

    def test_derived_defaults(self) -> None:
        """
        Addresses follow the general one and paths follow data_dir unless given.
        """
        config = self.node("[general]\nbind_address = 10.0.0.1\ndata_dir = /data\n")
        self.assertEqual(config.proxy.bind_address, "10.0.0.1")
        self.assertEqual(config.admin.bind_address, "127.0.0.1")
        self.assertEqual(config.cache.disk_cache_path, "/data/cache")

    def test_relative_paths(self) -> None:
        """
        A path in the file is relative to the file, one elsewhere to the current
        directory.
        """
        path = self.write("[cache]\ndisk_cache_path = ssd\n")
        config = load_node_config(path, {}, {**STORE, "general.data_dir": "data"})
        here = Path.cwd()
        self.assertEqual(
            config.cache.disk_cache_path, str(Path(path).absolute().parent / "ssd")
        )
        self.assertEqual(config.general.data_dir, str(here / "data"))

    def test_percent_means_nothing(self) -> None:
        """
        Values are not interpolated.
        """
        config = self.node("[p2p]\ncluster_secret = 100%(node_id)s%%\n")
        self.assertEqual(config.p2p.cluster_secret, Secret("100%(node_id)s%%"))

    def test_file_dialect(self) -> None:
        """
        Byte order mark, CRLF, comments, indentation, capitals in keys and colons are
        taken as configparser takes them.
        """
        config = self.node(
            "\ufeff; first\r\n [proxy]\r\n# note\r\n  Listen_Port: 81\r\n\r\n"
            "[general]\r\nzone=a\r\n"
        )
        self.assertEqual(config.proxy.listen_port, 81)
        self.assertEqual(config.general.zone, "a")

    def test_control_plane_address(self) -> None:
        """
        The control plane is found by host, by host and port, and by URL.
        """
        for text, url in (
            ("c", "http://c:8081"),
            ("c:1", "http://c:1"),
            ("http://c", "http://c:8081"),
            ("http://c:2/", "http://c:2"),
            ("[::1]", "http://[::1]:8081"),
        ):
            config = self.node(control_plane__endpoint=text).control_plane
            self.assertEqual(config.url, url)
            self.assertFalse(config.is_etcd)

    def test_etcd_addresses(self) -> None:
        """
        An etcd cluster is named by its members, plainly or with TLS.
        """
        config = self.node(control_plane__endpoint="etcd://a,b:1").control_plane
        self.assertTrue(config.is_etcd)
        urls = [place.url for place in config.addresses]
        self.assertEqual(urls, ["http://a:2379", "http://b:1"])
        config = self.node(control_plane__endpoint="etcd+https://a").control_plane
        self.assertEqual(config.addresses[0].url, "https://a:2379")

    def test_seeds(self) -> None:
        """
        Seeds are read as hosts with ports; the port of peers is understood.
        """
        config = self.node(p2p__seeds="a:1, b, [::1]:2")
        self.assertEqual(config.p2p.seeds, (("a", 1), ("b", 9000), ("::1", 2)))

    def test_store_address(self) -> None:
        """
        The store's scheme gives its port when the endpoint names none.
        """
        for text, url in (
            ("http://s", "http://s:80"),
            ("https://s", "https://s:443"),
            ("https://s:9001/", "https://s:9001"),
        ):
            address = self.node(storage__endpoint=text).storage.address
            assert address is not None
            self.assertEqual(address.url, url)

    def test_local_store(self) -> None:
        """
        A local store is a directory, relative to the file that names it.
        """
        path = Path(self.write("[storage]\ntype = local\nendpoint = objects\n"))
        directory = path.absolute().parent / "objects"
        directory.mkdir(exist_ok=True)
        config = load_node_config(str(path), {}, {})
        self.assertEqual(config.storage.endpoint, str(directory))
        self.assertIsNone(config.storage.address)

    def test_words_in_any_case(self) -> None:
        """
        Log levels and other words are taken in any case.
        """
        self.assertEqual(
            self.node(general__log_level="debug").general.log_level, "DEBUG"
        )

    def test_control_config(self) -> None:
        """
        The control plane reads its own section out of a file shared with a node.
        """
        path = self.write(
            "[control_plane_server]\nlisten_port = 0\nheartbeat_timeout_sec = 2.5\n"
            "[control_plane]\ntoken = t\n[proxy]\nlisten_port = 1\n"
            "[general]\ndata_dir = /d\nlog_format = json\n"
        )
        config = load_control_config(path, {}, {})
        self.assertIsInstance(config, ControlConfig)
        self.assertEqual(config.server.listen_port, 0)
        self.assertEqual(config.server.heartbeat_timeout, 2.5)
        self.assertEqual(config.server.database, "/d/control.db")
        self.assertEqual(config.token, Secret("t"))
        self.assertEqual((config.log_level, config.log_format), ("INFO", "json"))

    def test_data_dir(self) -> None:
        """
        A user without rights keeps data in the XDG data directory.
        """
        self.patch(os, "geteuid", lambda: 1000)
        self.patch(os, "access", lambda path, mode: False)
        for environ, expected in (
            ({"HOME": "/home/u"}, "/home/u/.local/share/eliop2p"),
            ({"HOME": "/home/u", "XDG_DATA_HOME": "/x"}, "/x/eliop2p"),
            ({}, "/var/lib/eliop2p"),
        ):
            self.assertEqual(default_data_dir(environ), expected)


class PrecedenceTests(ConfigCase):
    """
    Which of several values holds.
    """

    @given(
        file=st.none() | PORTS,
        long_variable=st.none() | PORTS,
        flag=st.none() | PORTS,
    )
    def test_order(
        self, file: int | None, long_variable: int | None, flag: int | None
    ) -> None:
        """
        The command line goes before the environment, that before the file, and that
        before the default, whichever of them are there.
        """
        path = None
        if file is not None:
            path = self.write(f"[general]\n\n[proxy]\nlisten_port = {file}\n")
        variable = "ELIOP2P_PROXY_LISTEN_PORT"
        environ = {} if long_variable is None else {variable: str(long_variable)}
        flags = {} if flag is None else {"proxy.listen_port": str(flag)}
        choices = [
            (flag, "flag --proxy-port"),
            (long_variable, f"environment {variable}"),
            (file, f"{path}:4"),
            (8080, "default"),
        ]
        value, source = next(pair for pair in choices if pair[0] is not None)
        config = load_node_config(path, environ, STORE | flags)
        self.assertEqual(config.proxy.listen_port, value)
        listed = effective(path, environ, STORE | flags)
        wanted = Effective("proxy", "listen_port", str(value), source)
        self.assertIn(wanted, listed)

    def test_empty_variable(self) -> None:
        """
        An empty variable leaves the file's value as it is.
        """
        path = self.write("[general]\nzone = a\n")
        config = load_node_config(path, {"ELIOP2P_GENERAL_ZONE": ""}, STORE)
        self.assertEqual(config.general.zone, "a")

    def test_service_links(self) -> None:
        """
        What Kubernetes says of Services called eliop2p-something is ignored.
        """
        environ = {
            "ELIOP2P_SERVICE_HOST": "10.0.0.1",
            "ELIOP2P_SERVICE_PORT_HTTP": "80",
            "ELIOP2P_PROXY_PORT": "tcp://10.0.0.1:8080",
            "ELIOP2P_PROXY_PORT_8080_TCP_ADDR": "10.0.0.1",
            "ELIOP2P_PROXY_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        }
        config = load_node_config(None, environ, STORE)
        self.assertEqual(config.proxy.listen_port, 8080)

    def test_effective_lists_all(self) -> None:
        """
        Every key is listed once, in order, with secrets and passwords hidden.
        """
        flags = {
            "p2p.cluster_secret": "hunter2",
            "storage.endpoint": "http://me:hunter2@store",
        }
        listed = effective(None, {}, flags)
        self.assertEqual(
            [(entry.section, entry.key) for entry in listed],
            [(key.section, key.name) for key in KEYS],
        )
        self.assertNotIn("hunter2", repr(listed))
        self.assertIn(
            Effective(
                "p2p", "cluster_secret", "(redacted)", "flag --p2p-cluster-secret"
            ),
            listed,
        )
