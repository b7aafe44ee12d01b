"""A program with a pool of processes, forked or spawned as its argument says; prints how many calls were answered."""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import anthropic

import llmclient


@cache
def client(pid: int) -> Any:
    """The client of a process."""
    return llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=os.environ["CLAUDE"]))


def call(who: str) -> int:
    with llmclient.context(prompt_type=who):
        message = client(os.getpid()).messages.create(
            model="claude-haiku-5-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )
    return 1 if message.content else 0


if __name__ == "__main__":
    call("parent")
    context = multiprocessing.get_context(sys.argv[1])
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print(sum(pool.map(call, ["pool"] * 12)))  # noqa: T201  # it is what the test reads
