"""How long answers take that nobody timed."""

import random
from dataclasses import dataclass, replace

from llmclient.testing._answers import Reply


@dataclass(frozen=True, slots=True)
class Latency:
    """Log-normal times, drawn from the seed: medians, and the spread as the sigma of their logarithm (0: none)."""

    ttft: float = 0.65
    """Seconds to the first token."""
    ttft_spread: float = 0.35
    tokens_per_second: float = 78.0
    pace_spread: float = 0.2

    def __post_init__(self) -> None:
        if self.ttft < 0 or self.tokens_per_second <= 0:
            raise ValueError(f"Latency: {self.ttft} s and {self.tokens_per_second} tokens a second cannot be")

    def timed(self, reply: Reply, output_tokens: int, dice: random.Random) -> Reply:
        """The reply with times of its own; one that has some keeps them."""
        first = self.ttft * dice.lognormvariate(0, self.ttft_spread)
        pace = self.tokens_per_second * dice.lognormvariate(0, self.pace_spread)
        if reply.ttft or reply.duration is not None:
            return reply
        return replace(reply, ttft=first, duration=first + output_tokens / pace)
