"""
Tests for what :mod:`eliop2p.base.config_checks` says of ``[proxy] auth``.
"""

from pathlib import Path

from eliop2p.base.config import load_node_config
from tests.base.test_clients import ALICE
from tests.base.test_config import STORE, ConfigCase

KEYS = {"storage.access_key": "AKNODE", "storage.secret_key": "hunter2"}


class AuthTests(ConfigCase):
    """
    Combinations that make sense, and those that do not.
    """

    def setUp(self) -> None:
        """
        Write a credentials file.
        """
        self.path = Path(self.mktemp())
        self.path.write_text(ALICE, encoding="utf-8")
        self.path.chmod(0o600)
        self.verify = {
            **STORE,
            **KEYS,
            "proxy.auth": "verify",
            "proxy.credentials_file": str(self.path),
        }

    def problem(self, flags: dict[str, str], **changes: str) -> str:
        """
        Give the one problem of a configuration.
        """
        named = {name.replace("__", "."): value for name, value in changes.items()}
        (found,) = self.problems("", {}, {**flags, **named})
        self.assertNotIn("hunter2", found)
        return found

    def test_verify(self) -> None:
        """
        With clients and credentials of its own a node can verify; with a chain, too.
        """
        config = load_node_config(None, {}, self.verify)
        assert config.proxy.clients is not None
        self.assertEqual(list(config.proxy.clients), ["AKALICE"])
        self.assertEqual(config.storage.secret_key, load_secret())
        chain = {k: v for k, v in self.verify.items() if k not in KEYS}
        load_node_config(None, {}, {**chain, "storage.credentials": "chain"})

    def test_open(self) -> None:
        """
        Open goes with credentials and without.
        """
        load_node_config(None, {}, {**STORE, "proxy.auth": "open"})
        load_node_config(None, {}, {**STORE, **KEYS, "proxy.auth": "open"})

    def test_no_clients(self) -> None:
        """
        To verify takes a file with clients, and only to verify does.
        """
        said = self.problem(self.verify, proxy__credentials_file="")
        self.assertIn("needs the file with the clients' keys", said)
        flags = {**STORE, "proxy.credentials_file": str(self.path)}
        for auth in ("open", "passthrough"):
            said = self.problem(flags, proxy__auth=auth)
            self.assertIn("is read with auth = verify only", said)

    def test_no_credentials(self) -> None:
        """
        To verify takes credentials of the node's own; to pass signatures through must
        not have any.
        """
        flags = {k: v for k, v in self.verify.items() if k not in KEYS}
        self.assertIn("credentials = chain", self.problem(flags))
        said = self.problem({**STORE, **KEYS})
        self.assertIn("auth = verify or open only", said)
        said = self.problem({**STORE, "storage.credentials": "chain"})
        self.assertIn("auth = verify or open only", said)

    def test_half_of_a_pair(self) -> None:
        """
        An access key has a secret, and the other way round.
        """
        flags = {**STORE, "proxy.auth": "open"}
        said = self.problem(flags, storage__access_key="AKNODE")
        self.assertIn("[storage] secret_key: is not set", said)
        said = self.problem(flags, storage__secret_key="hunter2")
        self.assertIn("[storage] access_key: is not set", said)
        said = self.problem(flags, storage__session_token="hunter2")
        self.assertIn("belongs to an access_key", said)

    def test_chain(self) -> None:
        """
        A chain finds keys by itself, and AWS's keys only.
        """
        flags = {**STORE, "proxy.auth": "open", "storage.credentials": "chain"}
        self.assertIn("remove access_key", self.problem({**flags, **KEYS}))
        said = self.problem(flags, storage__type="oss")
        self.assertIn("chain is AWS's", said)

    def test_allowed_hosts(self) -> None:
        """
        Other stores than that of [storage] know clients, and not the node.
        """
        said = self.problem(self.verify, proxy__allowed_hosts="http://other:9000")
        self.assertIn("under their own names", said)
        flags = {**STORE, "proxy.allowed_hosts": "http://other:9000"}
        load_node_config(None, {}, {**flags, "proxy.auth": "open"})

    def test_stale(self) -> None:
        """
        Only what the store grants can be stale.
        """
        said = self.problem(self.verify, proxy__stale_if_error_seconds="5")
        self.assertIn("auth = passthrough", said)

    def test_local(self) -> None:
        """
        A directory takes no signatures.
        """
        flags = {
            **self.verify,
            "storage.type": "local",
            "storage.endpoint": str(self.path.parent),
        }
        self.assertIn("takes no signatures", self.problem(flags))

    def test_clients_file(self) -> None:
        """
        A credentials file that others can read, or that is wrong, is refused.
        """
        self.path.chmod(0o644)
        self.assertIn("chmod 600", self.problem(self.verify))
        self.path.chmod(0o600)
        self.path.write_text("[alice]\nsecret_key = hunter2\n", encoding="utf-8")
        self.assertIn("[alice] access_key: expected", self.problem(self.verify))
        self.path.unlink()
        self.assertIn("cannot be read", self.problem(self.verify))


def load_secret() -> object:
    """
    Give the node's secret as it is read.
    """
    return load_node_config(
        None, {}, {**STORE, **KEYS, "proxy.auth": "open"}
    ).storage.secret_key
