"""The body of an answer, passed on byte for byte while a watch looks at it. One class per kind of client."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import httpx2

from llmclient._quietly import quietly
from llmclient._watch import END, Watch


class _Watched:
    def __init__(self, inner: Any, watch: Watch) -> None:
        self._inner = inner
        self._watch: Watch | None = watch
        self.stream_observer = getattr(inner, "stream_observer", None)  # the SDK asks for it at every event

    def __getattr__(self, name: str) -> Any:
        # httpx2 asks the stream for `elapsed`.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __del__(self) -> None:
        self._closed()  # dropped without being read or closed

    def _look_at(self, chunk: bytes) -> tuple[bytes, Exception | None]:
        if self._watch is None:
            return chunk, None
        seen = quietly(self._watch.feed, chunk)
        if seen is None:
            # A watch that failed has lost the thread: from here on the body is passed on unseen, and nothing the
            # watch believes may reach the caller.
            quietly(self._watch.give_up)
            self._watch = None
            return chunk, None
        return seen

    def _ended(self) -> Exception | None:
        return None if self._watch is None else quietly(self._watch.ended)

    def _failed(self, error: BaseException) -> BaseException:
        return error if self._watch is None else quietly(self._watch.failed, error) or error

    def _closed(self) -> None:
        if self._watch is not None:
            quietly(self._watch.closed)


class WatchedBody(_Watched, httpx2.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        interruption: Exception | None = None
        try:
            for chunk in self._inner:
                passed_on, interruption = self._look_at(chunk)
                yield passed_on
                if interruption is not None:
                    break
            else:
                interruption = self._ended()
        except GeneratorExit:
            raise
        except BaseException as error:  # whatever ends the reading ends the call
            instead = self._failed(error)
            if instead is END:
                return
            if instead is error:
                raise
            raise instead from error
        if interruption is not None:
            raise interruption

    def close(self) -> None:
        self._closed()
        self._inner.close()


class WatchedAsyncBody(_Watched, httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        interruption: Exception | None = None
        chunks = self._inner.__aiter__()
        try:
            async for chunk in chunks:
                passed_on, interruption = self._look_at(chunk)
                yield passed_on
                if interruption is not None:
                    break
            else:
                interruption = self._ended()
        except GeneratorExit:
            raise
        except BaseException as error:  # whatever ends the reading ends the call
            instead = self._failed(error)
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
        self._closed()
        await self._inner.aclose()
