"""Puts the middleware into a client, and keeps it honest when the client is derived from."""

from typing import Any, Final, TypeVar

from llmclient._middleware import Recorder

C = TypeVar("C")
NOT_GIVEN: Final = object()


def instrument(client: C) -> C:
    """See `llmclient.instrument`."""
    sdk_client: Any = client  # every client class of the SDK has what is used below; they share no public base
    if not hasattr(client, "middleware") or not hasattr(client, "with_options"):
        raise TypeError(
            f"llmclient.instrument() takes a client of the anthropic SDK (2.x), not {type(client).__name__}"
        )
    if _recorder_in(sdk_client.middleware) is not None:
        return client
    recorder = Recorder(sdk_client.max_retries)
    adopted: C = _adopt(sdk_client.with_options(middleware=[recorder, *sdk_client.middleware], max_retries=0))
    return adopted


def _adopt(client: Any) -> Any:
    """Makes `with_options(max_retries=…)` on an instrumented client mean what it says.

    The SDK hands middleware on to derived clients but tells it nothing, and its own retry loop has to stay off.
    """
    copy = type(client).copy

    def derive(*, max_retries: Any = NOT_GIVEN, middleware: Any = NOT_GIVEN, **options: Any) -> Any:
        entries = list(client.middleware if middleware is NOT_GIVEN else middleware or ())
        recorder = _recorder_in(entries)
        if recorder is None:  # the caller took it out: an ordinary client again, with ordinary retries
            retries = _recorder_in(client.middleware).retries if max_retries is NOT_GIVEN else max_retries
            return copy(client, middleware=entries, max_retries=retries, **options)
        if max_retries is not NOT_GIVEN:
            entries[entries.index(recorder)] = Recorder(max_retries)
        return _adopt(copy(client, middleware=entries, max_retries=0, **options))

    vars(client).update(copy=derive, with_options=derive)
    return client


def _recorder_in(middleware: Any) -> Any:
    return next((entry for entry in middleware if isinstance(entry, Recorder)), None)
