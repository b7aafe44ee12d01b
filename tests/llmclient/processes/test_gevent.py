"""Under gevent threads are greenlets and locks are gevent's: calls are made, held back and delivered all the same."""

import subprocess
import sys
from pathlib import Path

from llmclient.testing import FakeAnthropic, Request, fail, slow
from llmclient.testing._answers import Answer
from tests.llmclient.backend import Backend

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
from gevent import monkey
monkey.patch_all()
import sys, gevent, anthropic, llmclient
from llmclient import Budget, Limits, Policy, Retry

llmclient.configure(sys.argv[1], app="greenlets")
policy = Policy(
    retry=Retry(overloaded_base=0.01, overloaded_cap=0.01),
    limits=Limits(concurrency=5, max_wait=30),
    budgets=[Budget(per="app", usd="5.00")],
)
llm = llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=sys.argv[2]), policy)
ask = dict(model="claude-sonnet-5-5", max_tokens=50, messages=[{"role": "user", "content": "hello"}])

def plain(_):
    with llmclient.context(feature="plain"):
        return llm.messages.create(**ask).content[0].text

def streamed(_):
    with llmclient.context(feature="streamed"), llm.messages.stream(**ask) as stream:
        return stream.get_final_text()

def late(_):
    try:
        with llmclient.context(feature="late"), llmclient.deadline(0.05), llm.messages.stream(**ask) as stream:
            return stream.get_final_text()
    except llmclient.Unavailable:
        return "late"

from gevent.pool import Pool
pool = Pool(20)
said = [pool.map(each, range(20)) for each in (plain, streamed, late)]
print(sorted({text for texts in said for text in texts}), flush=True)
print(llmclient.flush(20), flush=True)
"""


def script(request: Request) -> Answer:
    return fail(529) if request.number == 3 else slow(0.1)


def test_greenlets_call_and_everything_arrives(backend: Backend) -> None:
    with FakeAnthropic(script) as fake:
        command = [sys.executable, "-c", PROGRAM, backend.dsn, fake.url]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["['late', 'ok']", "True"]
    made = [(event["feature"], event["outcome"]) for event in backend.events]
    assert len(made) == 60
    assert made.count(("plain", "ok")) == made.count(("streamed", "ok")) == 20
    assert made.count(("late", "error")) == 20
    assert sum(len(event["attempts"]) for event in backend.events if event["feature"] != "late") == 41
