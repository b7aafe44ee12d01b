"""The traffic model: who makes each call of a trace, for what, with which model, how long it takes, what goes wrong.

A trace says when calls came and how many tokens they took. Everything else is drawn here, from `(seed, row)` alone,
so that a second run assigns the same. The model:

* **Users**: N users, drawn by Zipf's law (the k-th most active with weight 1/k).
* **Sessions**: a user's calls within one half-hour of the trace belong to one session.
* **Features**: five, drawn by weight times how well the call's output fits what the feature typically writes
  (a log-normal bell around it, sigma 1.1); then one of the feature's prompt types, and its version in use.
* **Models**: one for all calls, or drawn per feature (mostly Sonnet 5.5, with Opus 5.5 and Haiku 5.5).
* **Latency**: time to the first token is log-normal around a median per model plus 0.04 ms per input token; the rest
  is written at a log-normal speed around a median of tokens per second per model.
* **Faults**: see `Faults`, `Rates` and `Incident`.
* **Prompt cache**: only where tokens are made up; a trace's input tokens stay what they are.
"""

import hashlib
import math
import random
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final, TypeVar
from uuid import UUID

from llmclient.testing._catalogue import FEATURES, HAIKU, OPUS, SONNET, Feature, PromptType, answer_text, prompt_text
from llmclient.testing._faults import Fate, Faults, Incident, Rates, Trouble, deal, latency_factor, rates_at
from llmclient.testing._requests import Plan
from llmclient.testing.trace import Arrival

__all__ = ["MIXED", "Call", "Faults", "Incident", "Rates", "Release", "Traffic", "Trouble", "event_id"]

Item = TypeVar("Item")

SESSION: Final = timedelta(minutes=30)
FIT_SIGMA: Final = 1.1
MIXED: Final = "mixed"
# Seconds to the first token, and tokens per second after it: medians.
PACE: Final = {OPUS: (1.1, 48.0), SONNET: (0.65, 78.0), HAIKU: (0.32, 150.0)}
SECONDS_PER_INPUT_TOKEN: Final = 0.00004


@dataclass(frozen=True, slots=True)
class Release:
    """From `at` on, a prompt type is at this version and its answers are `output` times as long."""

    at: datetime
    feature: str
    prompt_type: str
    version: str
    output: float = 1.0


@dataclass(frozen=True, slots=True)
class Call:
    """One logical call, complete: what is asked, for whom, and what it meets. Times in seconds."""

    id: UUID
    at: datetime
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    model: str
    feature: str
    prompt_type: str
    prompt_version: str
    user_id: str
    session_id: str
    stream: bool
    ttft: float
    duration: float
    prompt: str
    answer: str
    fate: Fate

    @property
    def answered(self) -> bool:
        """Whether the call ends with its full usage."""
        return self.fate.reply is not None and "breaks" not in self.fate.reply

    def plan(self, *, timed: bool) -> Plan:
        """What FakeAnthropic is to do; without `timed` it takes no time over it."""
        usage = {"cache_read_input_tokens": self.cache_read_tokens} if self.cache_read_tokens else {}
        reply: dict[str, Any] = {
            "text": self.answer,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            **({"usage": usage} if usage else {}),
            **({"ttft": round(self.ttft, 3), "duration": round(self.duration, 3)} if timed else {}),
            **(self.fate.reply or {}),
        }
        failures = self.fate.failures if timed else tuple(_at_once(failure) for failure in self.fate.failures)
        return Plan(self.id.hex, reply, failures)


class Traffic:
    """Assigns calls to arrivals. `start` is the time of the trace's first row after shifting, aware UTC."""

    def __init__(
        self,
        start: datetime,
        *,
        seed: int = 0,
        users: int = 400,
        model: str = MIXED,
        faults: Faults = Faults.RETRIED,
        rates: Rates | None = None,
        incidents: Sequence[Incident] = (),
        releases: Sequence[Release] = (),
        made_up_tokens: bool = False,
    ) -> None:
        self._start, self._seed, self._model = start, seed, model
        self._faults, self._rates, self._incidents = faults, rates or Rates(), incidents
        self._releases = sorted(releases, key=lambda release: release.at)
        self._made_up = made_up_tokens
        self._zipf = list(accumulate(1 / rank for rank in range(1, users + 1)))

    def assign(self, arrival: Arrival) -> Call:
        """The call of one arrival: the same for the same seed, row and time."""
        dice = random.Random(self._seed << 40 | arrival.row)  # noqa: S311  a model, not a secret
        user = 1 + bisect_left(self._zipf, dice.random() * self._zipf[-1])
        feature = _feature(arrival.output_tokens, dice)
        prompt = _drawn(feature.prompts, [prompt.weight for prompt in feature.prompts], dice)
        drawn = _drawn([name for name, _ in feature.models], [weight for _, weight in feature.models], dice)
        model = drawn if self._model == MIXED else self._model
        stream = dice.random() < feature.streamed
        version, output_factor = self._released(feature, prompt, arrival.at)
        input_tokens, output_tokens, cached = self._tokens(arrival, feature, output_factor, dice)
        ttft, duration = self._latency(model, input_tokens + cached, output_tokens, arrival.at, dice)
        rates = rates_at(self._rates, self._incidents, arrival.at) if self._incidents else self._rates
        return Call(
            id=event_id(arrival.at, arrival.row, self._seed),
            at=arrival.at,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cached,
            model=model,
            feature=feature.name,
            prompt_type=prompt.name,
            prompt_version=version,
            user_id=f"user-{user:04d}",
            session_id=f"s-{user:04d}-{(arrival.at - self._start) // SESSION}",
            stream=stream,
            ttft=ttft,
            duration=duration,
            fate=deal(self._faults, rates, dice, stream=stream),
            prompt=prompt_text(prompt, dice),
            answer=answer_text(feature, dice),
        )

    def _released(self, feature: Feature, prompt: PromptType, at: datetime) -> tuple[str, float]:
        version, factor = prompt.version, 1.0
        for release in self._releases:
            if release.at <= at and (release.feature, release.prompt_type) == (feature.name, prompt.name):
                version, factor = release.version, release.output
        return version, factor

    def _tokens(self, arrival: Arrival, feature: Feature, factor: float, dice: random.Random) -> tuple[int, int, int]:
        """Uncached input, output, cache reads. A trace's own numbers are never touched."""
        is_cached, share = dice.random() < feature.cached, 0.5 + 0.4 * dice.random()
        if not self._made_up:
            return arrival.input_tokens, arrival.output_tokens, 0
        input_tokens = arrival.input_tokens
        for incident in self._incidents:
            spiking = incident.trouble is Trouble.COST_SPIKE and incident.runs_at(arrival.at)
            if spiking and feature.name == "doc-summary":
                input_tokens = round(input_tokens * incident.severity)
        cached = round(input_tokens * share) if is_cached else 0
        return input_tokens - cached, max(1, round(arrival.output_tokens * factor)), cached

    def _latency(
        self, model: str, input_tokens: int, output_tokens: int, at: datetime, dice: random.Random
    ) -> tuple[float, float]:
        first, pace = PACE.get(model, PACE[SONNET])
        ttft = first * dice.lognormvariate(0, 0.35) + input_tokens * SECONDS_PER_INPUT_TOKEN
        writing = output_tokens / (pace * dice.lognormvariate(0, 0.2))
        factor = latency_factor(self._incidents, at)
        return ttft * factor, (ttft + writing) * factor


def event_id(at: datetime, row: int, seed: int) -> UUID:
    """The UUIDv7 of a call: its time to the millisecond, the seed as instance number, the row in the random part.

    A function of its arguments alone, so that a trace replayed a second time from the same instant makes the same ids.
    """
    millis = int(at.timestamp()) * 1000 + at.microsecond // 1000
    digest = hashlib.blake2b(f"{seed}:{row}:{at.isoformat()}".encode(), digest_size=8).digest()
    instance = int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=2).digest(), "big") & 0xFFF
    random_part = int.from_bytes(digest, "big") & ((1 << 62) - 1)
    return UUID(int=millis << 80 | 0x7 << 76 | instance << 64 | 0b10 << 62 | random_part)


def _feature(output_tokens: int, dice: random.Random) -> Feature:
    position = math.log(output_tokens + 1)
    weights = [
        feature.weight * math.exp(-(((position - math.log(feature.typical_output)) / FIT_SIGMA) ** 2) / 2)
        for feature in FEATURES
    ]
    return _drawn(FEATURES, weights, dice)


def _drawn(items: Sequence[Item], weights: Sequence[float], dice: random.Random) -> Item:
    sums = list(accumulate(weights))
    return items[min(bisect_left(sums, dice.random() * sums[-1]), len(items) - 1)]


def _at_once(failure: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same failure without its waiting: it comes at once and may be retried after a millisecond."""
    quick = {key: value for key, value in failure.items() if key != "delay"}
    return quick if "hang_up" in quick else quick | {"retry_after": 0.001}
