"""What is asked at each arrival: which model, how much to read and to write, streamed or not."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from llmclient.testing._messages import CHARS_PER_TOKEN
from llmclient.testing._words import SENTENCES

MATERIAL: Final = " ".join(SENTENCES)
QUESTION: Final = "Say in one sentence what this is about. "


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: when (seconds from the start), and what. The answer is at most `output_tokens` long."""

    number: int
    at: float
    model: str
    input_tokens: int
    output_tokens: int
    stream: bool

    def body(self) -> dict[str, Any]:
        """The arguments of `messages.create`. The prompt has about as many tokens as it should."""
        start = f"{self.number}. {QUESTION}"
        size = max(0, round(self.input_tokens * CHARS_PER_TOKEN) - len(start))
        material = (MATERIAL * (size // len(MATERIAL) + 1))[:size]
        return {
            "model": self.model,
            "max_tokens": self.output_tokens,
            "messages": [{"role": "user", "content": start + material}],
        }


def workload(
    arrivals: Sequence[tuple[float, int, int]], models: Sequence[str], streamed: float, seed: int
) -> list[Ask]:
    """The requests of a run from (seconds, input tokens, output tokens); models and streams are drawn evenly."""
    dice = random.Random(f"{seed}:workload")  # noqa: S311  a model, not a secret
    return [
        # A prompt has a token and an answer may have one, whatever a trace says.
        Ask(number, at, dice.choice(models), max(1, into), max(1, out), dice.random() < streamed)
        for number, (at, into, out) in enumerate(arrivals, 1)
    ]
