"""`python -m llmclient.load` from its first to its last line."""

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

import anthropic
import httpx2

import llmclient
from llmclient.load._drive import Drive
from llmclient.load._endpoint import EndpointError, expect_a_fake, own_fake
from llmclient.load._flags import Plan, parser, plan_of
from llmclient.load._report import as_text, summary
from llmclient.load._spend import Estimate, Purse, UnknownPriceError, by_the_price_list, cost_of, dollars, next_cent

WRONG: Final = 2
FAILED: Final = 1
INTERRUPTED: Final = 130  # as a shell calls what Ctrl-C ended
KEPT_CONNECTIONS: Final = 500
TOLD_EVERY: Final = 1.0  # seconds
DELIVERY: Final = 10.0  # seconds for telemetry, after the run


def main(argv: list[str] | None = None, *, estimate: Estimate = by_the_price_list) -> int:
    """The exit status: 0, or 1 when nothing could be run, 2 for what was asked wrongly, 130 when interrupted."""
    parsing = parser()
    given = parsing.parse_args(argv)
    try:
        plan = plan_of(given)
        purse = _agreed(given, plan, estimate)
        llmclient.configure(given.dsn, app="load")
    except (ValueError, OSError) as wrong:
        parsing.error(str(wrong))
    if purse is None:
        return WRONG
    _allow_many_connections()
    try:
        with _address(given) as url:
            return asyncio.run(_run(given, plan, purse, estimate, url))
    except EndpointError as nobody:
        _tell(f"{nobody}\n")
        return FAILED
    except KeyboardInterrupt:  # before the first request
        return INTERRUPTED
    finally:
        llmclient.close(DELIVERY)


def _agreed(given: argparse.Namespace, plan: Plan, estimate: Estimate) -> Purse | None:
    """What may be spent; None when nobody agreed to it. Only a real endpoint costs anything."""
    if not given.real:
        return Purse(None)
    try:
        most = cost_of(plan.asks, estimate)
    except UnknownPriceError as unknown:
        raise ValueError(f"{unknown}, so a real endpoint is not used") from unknown
    if not os.environ.get("ANTHROPIC_API_KEY"):
        raise ValueError("--real needs a key in ANTHROPIC_API_KEY")
    url = given.base_url or os.environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
    tokens = sum(ask.input_tokens for ask in plan.asks), sum(ask.output_tokens for ask in plan.asks)
    _tell(
        f"{len(plan.asks):,} requests to {url}: about {tokens[0]:,} tokens to read, at most {tokens[1]:,} to write.\n"
        f"Estimated cost: at most {dollars(most)}, without retries.\n"
    )
    if given.yes_spend is None and sys.stdin.isatty():
        _tell(f"Spend up to {next_cent(most)}? Write yes: ")
        return Purse(most) if sys.stdin.readline().strip().lower() == "yes" else None
    if given.yes_spend is None or given.yes_spend < most:
        _tell(f'Nothing was sent. To agree: --yes-spend "{next_cent(most)}"\n')
        return None
    return Purse(given.yes_spend)


@contextmanager
def _address(given: argparse.Namespace) -> Iterator[str | None]:
    """Where to send; None is where the SDK sends by itself."""
    if given.base_url is not None and not given.real:
        expect_a_fake(given.base_url)
    own = given.base_url is None and not given.real
    with own_fake(given.fake) if own else nullcontext(given.base_url) as url:
        yield url


def _allow_many_connections() -> None:
    """As many open files as this user may have; each request under way is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _run(given: argparse.Namespace, plan: Plan, purse: Purse, estimate: Estimate, url: str | None) -> int:
    # The SDK's own client has at most 1,000 connections: the rest would wait where nobody sees it.
    http = anthropic.DefaultAsyncHttpxClient(limits=httpx2.Limits(max_keepalive_connections=KEPT_CONNECTIONS))
    client = anthropic.AsyncAnthropic(
        api_key=None if given.real else "fake",
        base_url=url,
        timeout=given.timeout,
        max_retries=given.retries,
        http_client=http,
    )
    async with llmclient.instrument(client) as llm:
        drive = Drive(
            llm,
            plan.asks,
            estimate,
            purse=purse,
            dictate=not given.real,
            cap=given.concurrency_cap,
            grace=given.grace,
        )
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, drive.stop)
        telling = asyncio.create_task(_progress(drive))
        await drive.run()
        telling.cancel()
    found = summary(drive.tally, planned_seconds=plan.seconds, elapsed=drive.elapsed, interrupted=drive.stopped)
    _progress_over()
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if given.json else as_text(found))
    return INTERRUPTED if drive.stopped else 0


async def _progress(drive: Drive) -> None:
    """One line that is written over, where somebody is looking."""
    while sys.stderr.isatty():
        tally = drive.tally
        _tell(
            f"\r{tally.sent:,} of {tally.planned:,} sent, {tally.answered:,} answered, "
            f"{tally.failed.total():,} failed, {tally.in_flight:,} under way \x1b[K"
        )
        await asyncio.sleep(TOLD_EVERY)


def _progress_over() -> None:
    if sys.stderr.isatty():
        _tell("\r\x1b[K")


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
