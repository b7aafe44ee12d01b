"""What the result backend knows of a job, where there is one: whether it is done, and an answer not yet handed on."""

from collections.abc import Mapping
from typing import Any

from celery.backends.base import DisabledBackend

from llmclient._quietly import warn

DONE = "SUCCESS"


def are_kept(task: Any) -> bool:
    """Whether what this task stores can be read again by whoever runs it next."""
    if task.ignore_result or task.request.is_eager or isinstance(task.backend, DisabledBackend):
        return False
    return bool(task.backend.as_uri() != "rpc://")  # there only the one who asked can read them


def of(task: Any, id_: str) -> tuple[bool, Any]:
    """Whether the job is done, and the answer as it was stored."""
    if not are_kept(task):
        return False, None
    for stored_as in (id_, _answer_of(id_)):
        meta = _meta(task, stored_as)
        if meta.get("status") == DONE:
            return stored_as == id_, meta.get("result")
    return False, None


def keep_answer(task: Any, id_: str, answer: Mapping[str, Any]) -> None:
    """Stores an answer that is still to be handed on: should this process die now, Claude is not asked twice."""
    if are_kept(task):
        try:
            task.backend.store_result(_answer_of(id_), answer, DONE)
        except Exception as error:  # noqa: BLE001  # whatever the backend raises
            warn("results", "an answer cannot be kept while it is handed on: %r", error)


def forget_answer(task: Any, id_: str) -> None:
    """The job is done and its result stored; one copy is enough."""
    if are_kept(task):
        try:
            task.backend.forget(_answer_of(id_))
        except Exception as error:  # noqa: BLE001
            warn("results", "the copy of an answer cannot be removed from the result backend: %r", error)


def _meta(task: Any, stored_as: str) -> Mapping[str, Any]:
    try:
        meta: Mapping[str, Any] = task.backend.get_task_meta(stored_as, cache=False)
    except Exception as error:  # noqa: BLE001
        warn("results", "the result backend cannot be read, so a job may be done twice: %r", error)
        return {}
    return meta


def _answer_of(id_: str) -> str:
    return f"{id_}.answer"
