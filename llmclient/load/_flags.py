"""The command line of the load generator."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmclient._durations import seconds_of
from llmclient.load._arrivals import Rate, constant, poisson, traced
from llmclient.load._spend import read_dollars
from llmclient.load._workload import Ask, workload
from llmclient.testing._flags import reading
from llmclient.testing.trace import Columns, read

PROFILES: Final = ("poisson", "constant")
DEFAULT_RATE: Final = 600.0
DEFAULT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The requests of a run, and how long it takes until the last of them is due."""

    asks: Sequence[Ask]
    seconds: float


def parser() -> argparse.ArgumentParser:
    """Everything that can be said."""
    made = argparse.ArgumentParser(
        prog="python -m llmclient.load",
        description="Sends requests at fixed times, whether or not the ones before were answered, and says how long "
        "they took from the moment they were due. Without --base-url or --real they go to a fake of its own.",
    )
    when = made.add_argument_group("when")
    when.add_argument("--rate", type=float, metavar="N", help=f"requests per minute (default {DEFAULT_RATE:g})")
    when.add_argument("--ramp", type=reading(Rate.parse), metavar="FROM:TO:WITHIN", help="like 10:1000:300s")
    when.add_argument("--for", dest="seconds", type=reading(_seconds), metavar="TIME", help="60, 90s, 15m (default 60)")
    when.add_argument("--profile", default="poisson", help="poisson (default), constant, or a trace: FILE.csv[.gz]")
    when.add_argument("--trace-speed", type=float, default=1.0, metavar="N", help="seconds of the trace per second")
    when.add_argument("--columns", type=reading(Columns.parse), metavar="time=…,input=…,output=…", help="of the trace")
    what = made.add_argument_group("what")
    what.add_argument("--model", action="append", help="several: drawn evenly (default claude-sonnet-5-5)")
    what.add_argument("--stream", type=reading(_share), default=0.5, metavar="SHARE", help="of streamed requests (0.5)")
    what.add_argument("--prompt-tokens", type=reading(_positive), default=400, metavar="N", help="(400; a trace's own)")
    what.add_argument("--output-tokens", type=reading(_positive), default=100, metavar="N", help="max_tokens (100)")
    how = made.add_argument_group("how")
    how.add_argument("--concurrency-cap", type=reading(_positive), metavar="N", help="requests under way at a time")
    how.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="of one attempt (60)")
    how.add_argument("--retries", type=int, default=2, metavar="N", help="of the client (2)")
    how.add_argument(
        "--grace", type=float, default=10.0, metavar="SECONDS", help="for what Ctrl-C finds under way (10)"
    )
    how.add_argument("--seed", type=int, default=0)
    where = made.add_argument_group("where")
    where.add_argument("--base-url", metavar="URL", help="a running fake, or with --real any endpoint")
    where.add_argument("--fake", type=shlex.split, default=[], metavar="OPTIONS",
                       help="for the fake of its own, those of python -m llmclient.testing")  # fmt: skip
    where.add_argument("--real", action="store_true", help="an endpoint that costs money; ANTHROPIC_API_KEY is the key")
    where.add_argument("--yes-spend", type=reading(read_dollars), metavar="DOLLARS", help='agree to an amount: "$1.20"')
    made.add_argument("--dsn", default="", help="measure into LLM Vitals as well; LLMCLIENT_DSN is not used")
    made.add_argument("--json", action="store_true", help="the report as JSON")
    return made


def plan_of(given: argparse.Namespace) -> Plan:
    """The requests asked for. Raises ValueError (also as TraceError) and OSError."""
    if given.profile not in PROFILES:
        return _traced(given)
    if given.ramp is not None and given.rate is not None:
        raise ValueError("give either --rate or --ramp")
    even = DEFAULT_RATE if given.rate is None else given.rate
    rate = given.ramp or Rate(even, even)
    seconds = given.seconds or rate.over or DEFAULT_SECONDS
    times = constant(rate, seconds) if given.profile == "constant" else poisson(rate, seconds, given.seed)
    arrivals = [(at, given.prompt_tokens, given.output_tokens) for at in times]
    return Plan(workload(arrivals, _models(given), given.stream, given.seed), seconds)


def _traced(given: argparse.Namespace) -> Plan:
    if given.rate is not None or given.ramp is not None:
        raise ValueError("a trace has its own rate; --trace-speed makes it faster")
    if given.trace_speed <= 0:
        raise ValueError(f"--trace-speed: {given.trace_speed:g} is not above 0")
    timed = traced(read(Path(given.profile), given.columns), given.trace_speed, given.seconds)
    arrivals = [(at, row.input_tokens, row.output_tokens) for at, row in timed]
    return Plan(workload(arrivals, _models(given), given.stream, given.seed), given.seconds or timed[-1][0])


def _models(given: argparse.Namespace) -> Sequence[str]:
    return given.model or ["claude-sonnet-5-5"]


def _seconds(text: str) -> float:
    plain: Any = float(text) if text.replace(".", "", 1).isdigit() else text
    return seconds_of(plain, "--for")


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(f"{text} is not between 0 and 1")
    return share


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{text} is not above 0")
    return number
