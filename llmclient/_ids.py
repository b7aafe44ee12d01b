"""Event ids: UUIDv7 minted when a call starts, so that sending an event twice stores it once.

The 12 bits after the version are the number of this process: a server that shards by them gets whole batches.
"""

import os
import random
import uuid


class Minter:
    """Mints ids for one process; a forked child draws its own number."""

    def __init__(self) -> None:
        self.renumber()

    def renumber(self) -> None:
        self._pid = os.getpid()
        self._random = random.Random(os.urandom(16))  # noqa: S311  # unique is enough, and it lets nobody else in
        self.instance = int.from_bytes(os.urandom(2), "big") & 0xFFF

    def mint(self, unix_ms: int) -> uuid.UUID:
        if self._pid != os.getpid():  # uWSGI and others fork without telling Python
            self.renumber()
        tail = self._random.getrandbits(62)
        return uuid.UUID(int=(unix_ms & 0xFFFF_FFFF_FFFF) << 80 | (0x7000 | self.instance) << 64 | 0x2 << 62 | tail)


MINTER = Minter()
