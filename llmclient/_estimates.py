"""What an attempt will probably use, learned per prompt type: what is reserved before it is sent. Pure.

The input follows from its characters, the output from what the same prompt type wrote before: `max_tokens` plays no
part in the provider's limits, and as a reservation it would leave most of the quota unused.
"""

import math
from typing import Final

from llmclient._queue import Want

TOKENS_PER_CHARACTER: Final = 1 / 3.5  # of ordinary prose
EWMA: Final = 0.1  # weight of the newest answer, once there were ten
UNKNOWN_OUTPUT: Final = 1_024  # tokens; or `max_tokens` when that is less
ENOUGH_SEEN: Final = 20  # answers before the tail of their lengths says anything
TAIL: Final = 0.05  # of the answers may be longer than what is reserved
STEP: Final = 1.2  # each bin is this much wider than the one before
BINS: Final = 72  # 1.2 ** 71: more than 400,000 tokens
FORGET_AT: Final = 500.0  # answers; then all counts are halved, so that the newer ones count more
MOST_TYPES: Final = 500  # beyond, prompt types share what is learned: a mistake must not fill the memory
_LOG_STEP: Final = math.log(STEP)


class Lengths:
    """The lengths of answers, as a histogram of fixed size: 95 of 100 are at most `long()` tokens."""

    __slots__ = ("_counts", "_long", "seen")

    def __init__(self) -> None:
        self._counts = [0.0] * BINS
        self._long: int | None = None
        self.seen = 0.0

    def add(self, tokens: int) -> None:
        bin_ = 0 if tokens <= 1 else min(BINS - 1, math.ceil(math.log(tokens) / _LOG_STEP))
        self._counts[bin_] += 1.0
        self.seen += 1.0
        # Looked up for every call; after a hundred answers sixteen more do not move it far.
        if self.seen < 100 or self.seen % 16 == 0:
            self._long = None
        if self.seen >= FORGET_AT:
            self._counts = [count / 2 for count in self._counts]
            self.seen /= 2

    def long(self) -> int:
        """The upper edge of the bin the 95th percentile lies in: too much by a fifth at most."""
        if self._long is None:
            longer = 0.0
            for bin_ in range(BINS - 1, -1, -1):
                longer += self._counts[bin_]
                if longer > self.seen * TAIL:
                    break
            self._long = math.ceil(STEP**bin_)
        return self._long


class _Learned:
    __slots__ = ("answers", "lengths", "ratio")

    def __init__(self) -> None:
        self.ratio = TOKENS_PER_CHARACTER
        self.answers = 0
        self.lengths = Lengths()


class Estimates:
    """Not thread-safe: under a lock of the caller's."""

    def __init__(self) -> None:
        self._types: dict[str | None, _Learned] = {}
        self._others = _Learned()

    def want(self, prompt_type: str | None, *, characters: int, max_tokens: int | None) -> Want:
        """What to reserve for a prompt of so many characters. `max_tokens`: the most the answer may be long."""
        learned = self._types.get(prompt_type, self._others)
        output = learned.lengths.long() if learned.lengths.seen >= ENOUGH_SEEN else UNKNOWN_OUTPUT
        return Want(
            math.ceil(characters * learned.ratio), output if max_tokens is None else max(0, min(output, max_tokens))
        )

    def learn(
        self,
        prompt_type: str | None,
        *,
        characters: int,
        input: int | None,  # noqa: A002  # as Want spells it
        output: int | None,
    ) -> None:
        """Takes in the tokens an answer used; None: unknown. `input` is without cache reads, as the limit is."""
        learned = self._of(prompt_type)
        if input is not None and characters > 0:
            learned.answers += 1
            weight = max(EWMA, 1 / (learned.answers + 1))  # the start counts as one answer
            learned.ratio += weight * (input / characters - learned.ratio)
        if output is not None:
            learned.lengths.add(output)

    def _of(self, prompt_type: str | None) -> _Learned:
        learned = self._types.get(prompt_type)
        if learned is None:
            if len(self._types) >= MOST_TYPES:
                return self._others
            learned = self._types[prompt_type] = _Learned()
        return learned
