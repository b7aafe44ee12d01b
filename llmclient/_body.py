"""The body of an answer, passed on byte for byte while a watch looks at it. One class per kind of client."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import httpx2

from llmclient._quietly import quietly
from llmclient._watch import END, Watch


class _Watched:
    def __init__(self, inner: Any, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        # httpx2 asks the stream for `elapsed`, the SDK for its own observer.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __del__(self) -> None:
        # Dropped without being read or closed.
        quietly(self._watch.closed)

    def _after(self, error: BaseException) -> BaseException:
        return quietly(self._watch.failed, error) or error


class WatchedBody(_Watched, httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        interruption: Exception | None = None
        try:
            for chunk in self._inner:
                passed_on, interruption = quietly(self._watch.feed, chunk) or (chunk, None)
                yield passed_on
                if interruption is not None:
                    break
            else:
                interruption = quietly(self._watch.ended)
        except GeneratorExit:
            raise
        except BaseException as error:
            instead = self._after(error)
            if instead is END:
                return
            if instead is error:
                raise
            raise instead from error
        if interruption is not None:
            raise interruption

    def close(self) -> None:
        quietly(self._watch.closed)
        self._inner.close()


class WatchedAsyncBody(_Watched, httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        interruption: Exception | None = None
        chunks = self._inner.__aiter__()
        try:
            async for chunk in chunks:
                passed_on, interruption = quietly(self._watch.feed, chunk) or (chunk, None)
                yield passed_on
                if interruption is not None:
                    break
            else:
                interruption = quietly(self._watch.ended)
        except GeneratorExit:
            raise
        except BaseException as error:
            instead = self._after(error)
            if instead is END:
                return
            if instead is error:
                raise
            raise instead from error
        finally:
            # In the task that read, not later in one the event loop makes for it.
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        if interruption is not None:
            raise interruption

    async def aclose(self) -> None:
        quietly(self._watch.closed)
        await self._inner.aclose()
