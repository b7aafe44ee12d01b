"""A worker in a process that called Claude before it ever heard of Celery."""

import os
import sys

import anthropic

import llmclient

if __name__ == "__main__":
    llm = llmclient.instrument(anthropic.Anthropic(api_key="x", base_url=os.environ["CLAUDE"]))
    llm.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=[{"role": "user", "content": "first of all"}])
    assert "celery" not in sys.modules

    from tests.llmclient.processes.queue_app import app

    app.worker_main(["worker", *sys.argv[1:]])
