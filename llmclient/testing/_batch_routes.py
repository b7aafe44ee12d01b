"""The requests about batches: `/v1/messages/batches` and what is below it."""

from dataclasses import replace
from typing import Any, Final

from llmclient.testing._account import Account
from llmclient.testing._answers import Failure, fail
from llmclient.testing._batches import Batch, Item, item_of, read_requests
from llmclient.testing._lineup import page
from llmclient.testing._playbook import Playbook
from llmclient.testing._requests import Request
from llmclient.testing._response import Response, json_response, plain
from llmclient.testing._routes import invalid

PAGE: Final = 20


class BatchRoutes:
    """Answers requests about batches. `seconds`: what an answer takes that has no time of its own."""

    def __init__(self, account: Account, playbook: Playbook, seconds: float) -> None:
        self._account, self._playbook, self._seconds = account, playbook, seconds

    def answer(self, name: str, batch_id: str, request: Request, request_id: str) -> Response:
        """`name` is the route's; it names a method here."""
        wait, headers = self._account.pools.admit_batching()
        if wait is not None:
            return self._account.too_many(wait, request, request_id, headers)
        answered: dict[str, Any] | bytes | Failure
        if name == "create_batch":
            answered = self._create(request, request_id)
        elif name == "list_batches":
            answered = self._list(request)
        else:
            batch = self._account.batches.find(batch_id)
            missing = fail(404, message=f"Message Batch {batch_id} not found")
            answered = missing if batch is None else self._about(name, batch, request)
        if isinstance(answered, Failure):
            return self._account.refuse(answered, request, request_id, headers)
        if isinstance(answered, bytes):
            return plain(200, answered, request_id, "application/x-jsonl", headers)
        return json_response(200, answered, request_id, headers)

    def _create(self, request: Request, request_id: str) -> dict[str, Any] | Failure:
        wanted = read_requests(request.body)
        if isinstance(wanted, Failure):
            return wanted
        account = self._account
        limits, now = account.pools.limits, account.clock()
        if limits is not None and account.batches.processing(now) + len(wanted) > limits.batch_queue:
            return fail(429, message="The requests in processing would be more than your organization's limit.")
        items = [self._item(*each, request, f"{request_id}_{number}") for number, each in enumerate(wanted, 1)]
        return account.batches.add(request.key, items, now, account.wall()).as_json(now, _base(request))

    def _item(self, custom_id: str, params: Any, request: Request, request_id: str) -> Item:
        body = params if isinstance(params, dict) else None
        wrong = invalid(body, self._account)
        if body is not None and body.get("stream"):
            wrong = fail(400, message="stream: not possible in a batch")
        if wrong is not None:
            return item_of(custom_id, wrong, body, request_id, usual=self._seconds)
        # What dictates answers stands in the headers of a message, and one inside a batch has none.
        inner = replace(request, path="/v1/messages", body=body, custom_id=custom_id, headers={}, query={})
        _, _, answer = self._playbook.decide(inner, request_id)
        return item_of(custom_id, answer, body, request_id, usual=self._seconds)

    def _list(self, request: Request) -> dict[str, Any]:
        now, base = self._account.clock(), _base(request)
        items = [batch.as_json(now, base) for batch in self._account.batches.all()]
        return page(items, request.asked("after_id"), request.asked("before_id"), int(request.asked("limit") or PAGE))

    def _about(self, name: str, batch: Batch, request: Request) -> dict[str, Any] | bytes | Failure:
        now = self._account.clock()
        ended = now >= batch.ends
        if name == "read_batch":
            return batch.results() if ended else fail(404, message="No results are available: the batch has not ended")
        if name == "delete_batch":
            if not ended:
                return fail(400, message="A batch in processing cannot be deleted; cancel it first")
            self._account.batches.delete(batch.id)
            return {"id": batch.id, "type": "message_batch_deleted"}
        if name == "cancel_batch":
            if ended:
                return fail(400, message="The batch has ended and cannot be cancelled")
            if batch.cancelled is None:
                batch.cancelled = now
        return batch.as_json(now, _base(request))


def _base(request: Request) -> str:
    return f"http://{request.headers.get('host', '127.0.0.1')}"
