"""The command line of the fake."""

import argparse
from collections.abc import Callable
from typing import Final, TypeVar

from llmclient.testing._buckets import Limits
from llmclient.testing._fake import FakeAnthropic
from llmclient.testing._latency import Latency
from llmclient.testing._lineup import ALL_MODELS, CURRENT_MODELS
from llmclient.testing._menu import FAULTS, Chances, read_burst, read_share

T = TypeVar("T")

STANDARD: Final = Limits()


def _several(
    group: argparse._ArgumentGroup, name: str, told: str, form: str, read: Callable[[str], object] = str
) -> None:
    """An option that may be given several times."""
    group.add_argument(name, action="append", default=[], type=read, metavar=form, help=told)


def parser() -> argparse.ArgumentParser:
    """Everything that can be said."""
    about = "A fake of the Claude API, until Ctrl-C. The first line it writes is its address."
    made = argparse.ArgumentParser(prog="python -m llmclient.testing", description=about)
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=0, help="0: any free one")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--speed", type=float, default=1.0, help="how many seconds of waiting pass in one second")
    limits = made.add_argument_group("limits, per minute")
    limits.add_argument("--no-limits", action="store_true", help="no rate limits, and none of their headers")
    limits.add_argument("--requests-per-minute", type=int, default=STANDARD.requests)
    limits.add_argument("--input-tokens-per-minute", type=int, default=STANDARD.input_tokens)
    limits.add_argument("--output-tokens-per-minute", type=int, default=STANDARD.output_tokens)
    limits.add_argument("--count-requests-per-minute", type=int, default=STANDARD.count_requests)
    limits.add_argument("--batch-requests-per-minute", type=int, default=STANDARD.batch_requests)
    answers = made.add_argument_group("answers")
    answers.add_argument("--ttft", type=float, help="median seconds to the first token; else at once")
    answers.add_argument("--tokens-per-second", type=float, help="median speed of writing")
    answers.add_argument("--batch-seconds", type=float, default=60.0, help="what a request inside a batch takes")
    faults = made.add_argument_group("faults", f"FAULT is one of {', '.join(FAULTS)}")
    _several(faults, "--fault", "strikes a share of the messages", "FAULT[=SHARE]", reading(read_share))
    _several(faults, "--burst", "529s, or a fault, for a while", "AFTER:LASTING[:FAULT[:SHARE]]", reading(read_burst))
    _several(faults, "--key", "is accepted, and no other key is", "KEY")
    _several(faults, "--deprecate", "is called deprecated by the Models API", "MODEL")
    _several(faults, "--retire", "is answered 404", "MODEL")
    faults.add_argument("--all-models", action="store_true", help="the Models API lists older models, too")
    made.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that holds the other end of stdin"
    )
    return made


def fake_of(given: argparse.Namespace) -> FakeAnthropic:
    """The fake asked for, not started. Raises ValueError."""
    latency = {"ttft": given.ttft, "tokens_per_second": given.tokens_per_second}
    wanted = {name: value for name, value in latency.items() if value is not None}
    fake = FakeAnthropic(
        Chances(dict(given.fault), given.seed) if given.fault else (),
        limits=None if given.no_limits else _limits(given),
        schedule=given.burst,
        latency=Latency(**wanted) if wanted else None,
        keys=given.key or None,
        models=ALL_MODELS if given.all_models else CURRENT_MODELS,
        batch_seconds=given.batch_seconds,
        seed=given.seed,
        speed=given.speed,
        host=given.host,
        port=given.port,
    )
    for model in given.deprecate:
        fake.deprecate(model)
    for model in given.retire:
        fake.retire(model)
    return fake


def _limits(given: argparse.Namespace) -> Limits:
    return Limits(
        given.requests_per_minute,
        given.input_tokens_per_minute,
        given.output_tokens_per_minute,
        given.count_requests_per_minute,
        given.batch_requests_per_minute,
    )


def reading(read: Callable[[str], T]) -> Callable[[str], T]:
    """The same function, whose ValueErrors argparse tells in their own words."""

    def checked(text: str) -> T:
        try:
            return read(text)
        except ValueError as wrong:
            raise argparse.ArgumentTypeError(str(wrong)) from wrong

    return checked
