"""How many attempts may be under way at a time: one more after a clean window, fewer after a push-back. Pure.

Not by latency, which follows the length of the answers. Times are monotonic seconds.
"""

import math
from typing import Final

CUT: Final = 0.7


class Concurrency:
    """Between 1 and `most`; starts there. A window is as many answers as may be under way."""

    __slots__ = ("_clean", "_cut_at", "_exact", "_most", "limit")

    def __init__(self, most: int) -> None:
        self._most = most
        self._exact = float(most)
        self._clean = 0
        self._cut_at = -math.inf
        self.limit = most

    def ended(self, *, sent_at: float, pushed_back: bool, now: float) -> None:
        """Counts the end of an attempt; `pushed_back`: by a 429, a 529 or a timeout.

        Attempts sent before the last cut say nothing about the limit since: they neither cut again nor count as clean.
        """
        if sent_at <= self._cut_at:
            return
        if pushed_back:
            self._cut_at = now
            self._clean = 0
            self._set(self._exact * CUT)
            return
        self._clean += 1
        if self._clean >= self.limit:
            self._clean = 0
            self._set(self._exact + 1)

    def _set(self, exact: float) -> None:
        self._exact = min(float(self._most), max(1.0, exact))
        self.limit = int(self._exact)
