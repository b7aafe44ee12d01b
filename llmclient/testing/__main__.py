"""`python -m llmclient.testing`: the fake Claude API as a process of its own."""

import os
import signal
import sys
import threading

from llmclient.testing._flags import fake_of, parser


def main(argv: list[str] | None = None) -> int:
    """Serve until interrupted; the first line written is the address."""
    parsing = parser()
    given = parsing.parse_args(argv)
    try:
        fake = fake_of(given)
    except ValueError as wrong:
        parsing.error(str(wrong))
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
