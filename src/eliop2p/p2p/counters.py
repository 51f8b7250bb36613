"""
What a node counts of its transfers.
"""

import attrs


@attrs.define
class TransferCounters:
    """
    What has happened since the start.

    Attributes:
        chunks_from_peers: Chunks whose last byte came from a peer.
        chunks_from_origin: Chunks whose last byte came from the store.
        bytes_from_peers: Bytes received from peers.
        lease_granted: Leases that this node was given.
        corrupt: Chunks that did not match their digest.
        last_resort_reads: Chunks read from the store without a lease.
        peer_failures: Requests that peers did not fulfil, unless for being busy, slow
            or not ahead.
        slow_peers: Peers that were given up in the middle for being slow.
    """

    chunks_from_peers: int = 0
    chunks_from_origin: int = 0
    bytes_from_peers: int = 0
    lease_granted: int = 0
    corrupt: int = 0
    last_resort_reads: int = 0
    peer_failures: int = 0
    slow_peers: int = 0
