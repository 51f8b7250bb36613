"""
The cache backends that come with ElioP2P.
"""

from eliop2p.cache.disk_factory import DirectoryFactory
from eliop2p.cache.lmdb_factory import LmdbFactory
from eliop2p.cache.memory import MemoryFactory

memory = MemoryFactory()
directory = DirectoryFactory()
lmdb = LmdbFactory()
