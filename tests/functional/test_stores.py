"""
The stores that other tests rely on verify what a client signs.
"""

import pytest
from botocore.exceptions import ClientError

from tests.functional.stores.store import Credentials, RealStore, client


@pytest.fixture(params=["rgw", "swift_store"])
def real_store(request: pytest.FixtureRequest) -> RealStore:
    """
    Each real store in turn.
    """
    store = request.getfixturevalue(request.param)
    assert isinstance(store, RealStore)
    return store


def test_store_verifies(real_store: RealStore) -> None:
    """
    A store gives an object to its owner, and neither to another user nor to one who
    signs with a wrong secret.
    """
    alice = client(real_store.url, real_store.alice)
    alice.create_bucket(Bucket="checks")
    alice.put_object(Bucket="checks", Key="a", Body=b"bytes")
    assert alice.get_object(Bucket="checks", Key="a")["Body"].read() == b"bytes"
    forger = Credentials(real_store.alice.access_key, "not-the-secret")
    refusals = []
    for who in (real_store.bob, forger):
        with pytest.raises(ClientError) as refused:
            client(real_store.url, who).get_object(Bucket="checks", Key="a")
        refusals.append(refused.value.response["Error"]["Code"])
    assert refusals[0] in {"AccessDenied", "NoSuchBucket"}
    assert refusals[1] == "SignatureDoesNotMatch"
