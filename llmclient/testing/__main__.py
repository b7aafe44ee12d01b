"""`python -m llmclient.testing`: the fake Claude API as a process of its own."""

import argparse
import os
import signal
import sys
import threading
from typing import Final

from llmclient.testing._buckets import Limits
from llmclient.testing._fake import FakeAnthropic

STANDARD: Final = Limits()


def main(argv: list[str] | None = None) -> int:
    """Serve until interrupted; the first line written is the address."""
    parser = argparse.ArgumentParser(prog="python -m llmclient.testing", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", type=float, default=1.0, help="how many seconds of waiting pass in one second")
    parser.add_argument("--no-limits", action="store_true", help="no rate limits, and none of their headers")
    parser.add_argument("--requests-per-minute", type=int, default=STANDARD.requests)
    parser.add_argument("--input-tokens-per-minute", type=int, default=STANDARD.input_tokens)
    parser.add_argument("--output-tokens-per-minute", type=int, default=STANDARD.output_tokens)
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that holds the other end of stdin"
    )
    given = parser.parse_args(argv)
    limits = Limits(given.requests_per_minute, given.input_tokens_per_minute, given.output_tokens_per_minute)
    fake = FakeAnthropic(
        limits=None if given.no_limits else limits,
        seed=given.seed,
        speed=given.speed,
        host=given.host,
        port=given.port,
    )
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
