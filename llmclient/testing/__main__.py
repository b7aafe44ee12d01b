"""`python -m llmclient.testing`: the fake Claude API as a process of its own."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from llmclient.testing._buckets import Limits
from llmclient.testing._fake import FakeAnthropic
from llmclient.testing._latency import Latency
from llmclient.testing._lineup import ALL_MODELS, CURRENT_MODELS
from llmclient.testing._menu import FAULTS, Chances, read_burst, read_share

T = TypeVar("T")

STANDARD: Final = Limits()


def main(argv: list[str] | None = None) -> int:
    """Serve until interrupted; the first line written is the address."""
    parser = _parser()
    given = parser.parse_args(argv)
    try:
        fake = _fake(given)
    except ValueError as wrong:
        parser.error(str(wrong))
    try:
        fake.start()
    except OSError as error:
        sys.stderr.write(f"cannot listen on {given.host}:{given.port}: {os.strerror(error.errno or 0)}\n")
        return 1
    sys.stdout.write(f"{fake.url}\n")
    sys.stdout.flush()
    _wait(until_stdin_closes=given.until_stdin_closes)
    fake.stop()
    return 0


def _several(
    group: argparse._ArgumentGroup, name: str, told: str, form: str, reading: Callable[[str], object] = str
) -> None:
    """An option that may be given several times."""
    group.add_argument(name, action="append", default=[], type=reading, metavar=form, help=told)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m llmclient.testing", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", type=float, default=1.0, help="how many seconds of waiting pass in one second")
    limits = parser.add_argument_group("limits, per minute")
    limits.add_argument("--no-limits", action="store_true", help="no rate limits, and none of their headers")
    limits.add_argument("--requests-per-minute", type=int, default=STANDARD.requests)
    limits.add_argument("--input-tokens-per-minute", type=int, default=STANDARD.input_tokens)
    limits.add_argument("--output-tokens-per-minute", type=int, default=STANDARD.output_tokens)
    limits.add_argument("--count-requests-per-minute", type=int, default=STANDARD.count_requests)
    limits.add_argument("--batch-requests-per-minute", type=int, default=STANDARD.batch_requests)
    answers = parser.add_argument_group("answers")
    answers.add_argument("--ttft", type=float, help="median seconds to the first token; else at once")
    answers.add_argument("--tokens-per-second", type=float, help="median speed of writing")
    answers.add_argument("--batch-seconds", type=float, default=60.0, help="what a request inside a batch takes")
    faults = parser.add_argument_group("faults", f"FAULT is one of {', '.join(FAULTS)}")
    _several(faults, "--fault", "strikes a share of the messages", "FAULT[=SHARE]", _read(read_share))
    _several(faults, "--burst", "529s, or a fault, for a while", "AFTER:LASTING[:FAULT[:SHARE]]", _read(read_burst))
    _several(faults, "--key", "is accepted, and no other key is", "KEY")
    _several(faults, "--deprecate", "is called deprecated by the Models API", "MODEL")
    _several(faults, "--retire", "is answered 404", "MODEL")
    faults.add_argument("--all-models", action="store_true", help="the Models API lists older models, too")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that holds the other end of stdin"
    )
    return parser


def _fake(given: argparse.Namespace) -> FakeAnthropic:
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


def _read(reading: Callable[[str], T]) -> Callable[[str], T]:
    """The same function, whose ValueErrors argparse tells in their own words."""

    def read(text: str) -> T:
        try:
            return reading(text)
        except ValueError as wrong:
            raise argparse.ArgumentTypeError(str(wrong)) from wrong

    return read


def _wait(*, until_stdin_closes: bool) -> None:
    done = threading.Event()

    def owner_gone() -> None:
        sys.stdin.read()
        done.set()

    if until_stdin_closes:
        # Ctrl-C goes to the whole group; the owner decides when this process ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=owner_gone, daemon=True).start()
    else:
        signal.signal(signal.SIGINT, lambda *_: done.set())
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    done.wait()


if __name__ == "__main__":
    sys.exit(main())
