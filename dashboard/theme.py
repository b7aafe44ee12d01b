"""Colours of series. Figures name them (`@c1`); static/charts.js looks the names up in static/vitals.css.

The palette keeps its parts apart under the three common colour-vision deficiencies and on both backgrounds; a test
measures the contrast. Colour is never alone: lines have dashes, areas an order and a table.
"""

from collections.abc import Iterable
from typing import Final
from zlib import crc32

from metrics.slices import OTHER

SLOTS: Final = ("c1", "c2", "c3", "c4", "c5")
REST: Final = "muted"


def slots(names: Iterable[str]) -> dict[str, str]:
    """Give each name a colour that is its own on every page and range; a taken slot moves it to the next free one."""
    given: dict[str, str] = {}
    for name in sorted(set(names)):
        if name == OTHER or len(given) >= len(SLOTS):
            continue
        first = crc32(name.encode()) % len(SLOTS)
        order = SLOTS[first:] + SLOTS[:first]
        given[name] = next(slot for slot in order if slot not in given.values())
    return {name: given.get(name, REST) for name in names}
