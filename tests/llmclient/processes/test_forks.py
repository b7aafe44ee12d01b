"""Programs that fork after their client was instrumented, in the ways servers and pools do."""

import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from llmclient.testing import FakeAnthropic
from tests.llmclient.backend import Backend
from tests.llmclient.processes.conftest import Started, accounts, assert_all_accounted_for


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic(limits=None) as fake:
        yield fake


def by_prompt(backend: Backend) -> Counter[str]:
    return Counter(event["prompt_type"] for event in backend.events)


BEGIN = """
    import os, sys, threading
    import anthropic, llmclient

    def make():
        return llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=os.environ["CLAUDE"]))

    def call(client, who, times=1):
        with llmclient.context(prompt_type=who):
            for _ in range(times):
                client.messages.create(
                    model="claude-haiku-5-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
                )

    # One client is used before the fork, so that the sender's thread runs; the other is only instrumented: two
    # processes cannot share the connections of one.
    call(make(), "before", 3)
    llm = make()
"""


def test_a_server_that_forks_its_workers_loses_nothing_of_anybody(
    backend: Backend, started: Started, fake: FakeAnthropic
) -> None:
    program = """
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            threads = [threading.Thread(target=call, args=(llm, f"worker {number}", 5)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            sys.exit()
        children.append(child)
    call(llm, "master", 4)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    """
    _, errors = started.run(BEGIN + program, CLAUDE=fake.url)
    assert errors == ""
    assert by_prompt(backend) == {"before": 3, "master": 4, **{f"worker {number}": 15 for number in range(4)}}
    assert sorted(account["emitted"] for account in accounts(backend).values()) == [7, 15, 15, 15, 15]
    assert_all_accounted_for(backend)


def test_a_fork_behind_pythons_back_loses_nothing(backend: Backend, started: Started, fake: FakeAnthropic) -> None:
    """uWSGI forks in C: none of Python's hooks runs, and only the number of the process tells."""
    program = """
    import ctypes
    assert llmclient.flush(30)  # the sender sleeps, so the fork meets no thread in the middle of something
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        try:
            call(llm, "worker", 5)
            os._exit(0 if llmclient.flush(30) else 1)
        finally:
            os._exit(2)
    call(llm, "master", 5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    _, errors = started.run(BEGIN + program, CLAUDE=fake.url)
    assert errors == ""
    assert by_prompt(backend) == {"before": 3, "master": 5, "worker": 5}
    assert sorted(account["emitted"] for account in accounts(backend).values()) == [5, 8]
    assert_all_accounted_for(backend)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_processes_loses_nothing(
    backend: Backend, started: Started, fake: FakeAnthropic, method: str
) -> None:
    process = started.start("-m", "tests.llmclient.processes.pool", method, CLAUDE=fake.url)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output.strip(), errors) == (0, "12", "")
    assert by_prompt(backend) == {"parent": 1, "pool": 12}
    assert len(accounts(backend)) >= 2
    assert_all_accounted_for(backend)


@pytest.mark.parametrize("server", ["refuses", "is silent", "is deaf"])
def test_a_program_ends_within_two_seconds_whatever_the_server_does(
    started: Started, fake: FakeAnthropic, server: str
) -> None:
    """Deaf: it does not even accept connections, so that connecting never ends."""
    program = """
    import atexit, time
    atexit.register(lambda: print(time.monotonic() - over))  # called last, as it came first
    """
    end = """
    over = time.monotonic()
    """
    begin = program + BEGIN.replace("    import os, sys", "    import os, sys, time")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if server != "refuses":
            listener.listen(0 if server == "is deaf" else 64)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4 if server == "is deaf" else 0)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        try:
            output, errors = started.run(
                begin + end, CLAUDE=fake.url, LLMCLIENT_DSN=f"http://llv_ing_k@127.0.0.1:{port}"
            )
        finally:
            for each in waiting:
                each.close()
    assert float(output) < 2.5
    assert "3 telemetry events could not be delivered before the end of the process" in errors
