"""The body of an answer, passed on byte for byte while a watch looks at it. One class per kind of client."""

import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, Final

import anyio
import httpx2

from llmclient._quietly import quietly
from llmclient._watch import END, Watch
from llmclient._watchdog import WATCHDOG

SOON: Final = 0.9


class _Watched:
    """What has been read and not yet been passed on waits in `_ready`; `_stopper` is raised when that is used up."""

    def __init__(
        self, inner: Any, watch: Watch, *, read_timeout: float = 0.0, hang_up: Callable[[], None] | None = None
    ) -> None:
        self._inner = inner
        self._hang_up = hang_up
        self._watch: Watch | None = watch
        # A read is cut short only when the socket's own timeout would come more than a tenth later: it takes time.
        self._patience = read_timeout * SOON
        self._ready: deque[bytes] = deque()
        self._over = False
        self._stopper: BaseException | None = None
        self.stream_observer = getattr(inner, "stream_observer", None)  # the SDK asks for it at every event

    def __getattr__(self, name: str) -> Any:
        # httpx2 asks the stream for `elapsed`.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __del__(self) -> None:
        self._closed()  # dropped without being read or closed

    @property
    def watch(self) -> Watch | None:
        """None when following the body failed: it is passed on unseen."""
        return self._watch

    def _look_at(self, chunk: bytes) -> None:
        watch = self._watch
        seen = None if watch is None else quietly(watch.feed, chunk)
        if seen is None:
            # A watch that failed has lost the thread: from here on the body is passed on unseen, and nothing the
            # watch believes may reach the caller.
            if self._watch is not None:
                quietly(self._watch.give_up)
                self._watch = None
            self._ready.append(chunk)
            return
        passed_on, stopper = seen
        self._ready.append(passed_on)
        if stopper is not None:
            self._stopper, self._over = stopper, True

    def _ended(self) -> None:
        self._over = True
        if self._watch is not None:
            self._stopper = quietly(self._watch.ended)

    def _failed(self, error: BaseException) -> None:
        self._over = True
        instead = None if self._watch is None else quietly(self._watch.failed, error)
        self._stopper = None if instead is END else instead or error

    def _closed(self) -> None:
        watch = self._watch
        if watch is not None and not watch.told:
            quietly(watch.closed)

    def _may_wait(self, *, whole: bool) -> bool:
        return not self._over and (whole or (self._watch is not None and not self._watch.shown))

    def _raise_early(self, *, whole: bool) -> None:
        """What broke the body off before anything was shown is dealt with now, not when the caller reads."""
        if whole or not (self._watch is None or self._watch.shown):
            self._raise_stopper()

    def _raise_stopper(self) -> None:
        stopper, self._stopper = self._stopper, None
        if stopper is not None:
            raise stopper

    @property
    def so_far(self) -> bytes:
        """What has been read and not been passed on."""
        return b"".join(self._ready)


class WatchedBody(_Watched, httpx2.SyncByteStream):
    _chunks: Iterator[bytes] | None = None

    def peek(self, *, whole: bool = False) -> None:
        """Reads on until there is something to show, or to the end; raises what broke it off before that."""
        while self._may_wait(whole=whole):
            self._pull()
        self._raise_early(whole=whole)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            while self._ready:
                yield self._ready.popleft()
            if self._over:
                self._raise_stopper()
                return
            self._pull()

    def _pull(self) -> None:
        if self._chunks is None:
            self._chunks = iter(self._inner)
        watch = self._watch
        try:
            if self._hang_up is None or watch is None or (left := watch.due_at - watch.now()) >= self._patience:
                chunk = next(self._chunks)
            else:
                chunk = self._next(self._chunks, left, self._hang_up)
        except StopIteration:
            self._ended()
        except BaseException as error:  # noqa: BLE001  # whatever ends the reading ends the call; raised when due
            self._failed(error)
        else:
            self._look_at(chunk)

    @staticmethod
    def _next(chunks: Iterator[bytes], left: float, hang_up: Callable[[], None]) -> bytes:
        watched = WATCHDOG.watch(time.monotonic() + left, hang_up)
        try:
            return next(chunks)
        finally:
            WATCHDOG.release(watched)

    def close(self) -> None:
        self._closed()
        self._inner.close()


class WatchedAsyncBody(_Watched, httpx2.AsyncByteStream):
    _chunks: AsyncIterator[bytes] | None = None

    async def peek(self, *, whole: bool = False) -> None:
        """Reads on until there is something to show, or to the end; raises what broke it off before that."""
        while self._may_wait(whole=whole):
            await self._pull()
        self._raise_early(whole=whole)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                while self._ready:
                    yield self._ready.popleft()
                if self._over:
                    self._raise_stopper()
                    return
                await self._pull()
        finally:
            # In the task that read, not later in one the event loop makes for it.
            if isinstance(self._chunks, AsyncGenerator):
                await self._chunks.aclose()

    async def _pull(self) -> None:
        if self._chunks is None:
            self._chunks = self._inner.__aiter__()
        watch = self._watch
        try:
            if watch is not None and (left := watch.due_at - watch.now()) < self._patience:
                with anyio.fail_after(max(left, 0.0)):
                    chunk = await anext(self._chunks)
            else:
                chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._ended()
        except BaseException as error:  # whatever ends the reading ends the call
            self._failed(error)
            if not isinstance(error, Exception):
                self._stopper = None
                raise
        else:
            self._look_at(chunk)

    async def aclose(self) -> None:
        self._closed()
        await self._inner.aclose()
