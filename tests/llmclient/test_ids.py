"""Ids carry the time and the number of the process."""

import os
from uuid import RFC_4122

from llmclient._ids import Minter

MS = 0x0123_4567_89AB


def test_an_id_is_a_uuid7_of_the_given_millisecond() -> None:
    minter = Minter()
    minted = minter.mint(MS)
    assert minted.version == 7
    assert minted.variant == RFC_4122
    assert minted.int >> 80 == MS


def test_all_ids_of_a_process_carry_its_number_and_differ() -> None:
    minter = Minter()
    minted = [minter.mint(MS) for _ in range(1000)]
    assert {(one.int >> 64) & 0xFFF for one in minted} == {minter.instance}
    assert len(set(minted)) == 1000


def test_a_forked_child_draws_a_number_of_its_own() -> None:
    minter = Minter()
    minter.instance = 0x1000  # none that can be drawn
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str((minter.mint(MS).int >> 64) & 0xFFFF).encode())
        os._exit(0)
    os.waitpid(child, 0)
    drawn = int(os.read(reading, 16))
    assert drawn >> 12 == 0x7
    assert drawn != 0x7000 | minter.instance
