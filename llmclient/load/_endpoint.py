"""Where the requests go: to a fake of our own, to a fake that is there, or to the real thing."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import httpx2

from llmclient.testing._response import SERVER

PATIENCE: Final = 5.0  # seconds


class EndpointError(RuntimeError):
    """There is nobody, or somebody else than there should be; the message says it in one line."""


@contextmanager
def own_fake(options: Sequence[str]) -> Iterator[str]:
    """The address of a fake in a process of its own, so that it does not compete with the generator for one core.

    Raises EndpointError when it does not start: then it has said why itself.
    """
    command = [sys.executable, "-m", "llmclient.testing", "--until-stdin-closes", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fake:
        assert fake.stdin is not None
        assert fake.stdout is not None
        url = fake.stdout.readline().strip()
        if not url:
            raise EndpointError("the fake did not start")
        try:
            yield url
        finally:
            fake.stdin.close()


def expect_a_fake(url: str) -> None:
    """Raises EndpointError unless a fake answers there: anybody else may send a bill."""
    try:
        answer = httpx2.get(f"{url.rstrip('/')}/v1/models", timeout=PATIENCE)
    except (httpx2.HTTPError, httpx2.InvalidURL) as nobody:
        raise EndpointError(f"{url} does not answer ({type(nobody).__name__})") from nobody
    if answer.headers.get("server") != SERVER:
        raise EndpointError(f"{url} does not say that it is a fake; if calls to it may cost money, add --real")
