"""Where telemetry goes and what it says: set once per process, by `configure` or by the environment."""

import os
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args
from urllib.parse import unquote, urlsplit

from llmclient._answer import Answer
from llmclient._buffer import Buffer
from llmclient._call import Call
from llmclient._delivery import Delivery
from llmclient._ids import MINTER
from llmclient._policy import Capture
from llmclient._quietly import quietly, warn
from llmclient._score import Score
from llmclient._shipper import EXIT_SECONDS, Shipper
from llmclient._spool import Spool
from llmclient._version import __version__
from llmclient._wire import NAME_LENGTH

if TYPE_CHECKING:
    from llmclient._event import Names
    from llmclient._privacy._pseudonyms import Pseudonyms
    from llmclient._privacy._redact import Custom

DSN_VARIABLE: Final = "LLMCLIENT_DSN"
PATH: Final = "/api/v1/events"
HOST_LENGTH: Final = 53  # leaves room for the process id in the 64 characters of an instance


@dataclass(frozen=True, slots=True)
class Settings:
    """What `configure` was told. Without a shipper every call is measured for its handle and goes nowhere."""

    capture: Capture = "redacted"
    shipper: Shipper | None = None
    redis: str | None = None
    app: str | None = None
    leases: tuple[str, str] | None = None
    """The server's address and the key, where its budgets are obeyed."""
    pseudonyms: "Pseudonyms | None" = None

    def emit(self, call: Call | Score) -> None:
        if self.shipper is not None:
            self.shipper.emit(call)


_settings: Settings | None = None


def current() -> Settings:
    """The settings in force; the first use reads the environment when `configure` was not called."""
    global _settings  # noqa: PLW0603  # one destination per process is the point
    if _settings is None:
        try:
            configure()
        except ValueError as error:
            # Nobody called us: a wrong variable must not stop the host.
            warn("dsn", "telemetry is off: %s", error)
            _settings = Settings()
    return _settings or Settings()


def configure(
    dsn: str | None = None,
    *,
    app: str | None = None,
    release: str | None = None,
    capture: Capture = "redacted",
    redact: "Iterable[Custom]" = (),
    user_secret: str | None = None,
    spool: str | os.PathLike[str] | None = None,
    redis: str | None = None,
    server_budgets: bool = False,
) -> None:
    """See `llmclient.configure`."""
    global _settings
    if capture not in get_args(Capture):
        raise ValueError(f'capture must be "off", "redacted" or "full", not {capture!r}')
    dsn = os.environ.get(DSN_VARIABLE, "") if dsn is None else dsn
    if redis is not None:
        _check_redis(redis)
    shipper = leases = names = None
    if server_budgets and not dsn:
        raise ValueError("server_budgets: there is no server without a DSN")
    if dsn:
        endpoint, key = read_dsn(dsn)
        leases = (endpoint.removesuffix(PATH), key) if server_budgets else None
        names = _names(app, release, redact, user_secret)
        disk = Path(spool) if spool else None
        shipper = Shipper(lambda buffer: _delivery(buffer, endpoint, key, names, capture, disk))
    pseudonyms = None if names is None else names.pseudonyms
    before, _settings = _settings, Settings(capture, shipper, redis, app, leases, pseudonyms)
    if before is not None and before.shipper is not None:
        before.shipper.close()


def flush(timeout: float | None = EXIT_SECONDS) -> bool:
    """See `llmclient.flush`."""
    shipper = current().shipper
    return True if shipper is None else bool(quietly(shipper.flush, timeout))


def close(timeout: float = EXIT_SECONDS) -> None:
    """See `llmclient.close`."""
    global _settings
    before, _settings = _settings, Settings()
    if before is not None and before.shipper is not None:
        before.shipper.close(timeout)


def _names(app: str | None, release: str | None, redact: "Iterable[Custom]", user_secret: str | None) -> "Names":
    # Compiling what personal data looks like takes a while; a program that sends nothing need not wait for it.
    from llmclient._event import Names  # noqa: PLC0415
    from llmclient._privacy._pseudonyms import Pseudonyms  # noqa: PLC0415
    from llmclient._privacy._redact import Redactor  # noqa: PLC0415

    pseudonyms = None if user_secret is None else Pseudonyms(user_secret)
    return Names(app and app[:NAME_LENGTH], release and release[:NAME_LENGTH], Redactor(redact), pseudonyms)


def _check_redis(url: str) -> None:
    if find_spec("redis") is None:
        raise ValueError("sharing through Redis needs the package redis: pip install 'llm-vitals[redis]'")
    from llmclient._breaker_shared import connect  # noqa: PLC0415  # nobody else pays for it

    try:
        connect(url).close()  # connects to nothing yet
    except ValueError as error:
        raise ValueError(f"redis: {error}") from None


def read_dsn(dsn: str) -> tuple[str, str]:
    """The address events are posted to, and the key. The key is never part of the error message."""
    wanted = "a DSN looks like https://llv_ing_…@host[:port]"
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:
        raise ValueError(f"the DSN has no readable host and port; {wanted}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the DSN must start with https:// or http://; {wanted}")
    if not parts.username:
        raise ValueError(f"the DSN has no key before the @; {wanted}")
    if not parts.hostname:
        raise ValueError(f"the DSN has no host after the @; {wanted}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{host}:{port}" if port is not None else host
    return f"{parts.scheme}://{address}{parts.path.rstrip('/')}{PATH}", unquote(parts.username)


def _delivery(
    buffer: Buffer, endpoint: str, key: str, names: "Names", capture: Capture, spool: Path | None
) -> Delivery:
    from llmclient import _event  # noqa: PLC0415  # loaded with the names already

    identity = {
        "instance": f"{socket.gethostname()[:HOST_LENGTH]}/{os.getpid()}",
        "boot_id": str(MINTER.mint(time.time_ns() // 1_000_000)),
        "sdk": f"llmclient/{__version__}",
    }

    def encode(call: Call | Score) -> dict[str, Any]:
        if isinstance(call, Score):
            return call.as_dict() if capture == "full" else call.as_dict(names.redactor.short)
        return _event.as_dict(call, names, sdk=_sdk())

    return Delivery(
        buffer,
        _Post(endpoint, key),
        encode,
        identity,
        spool=Spool(spool) if spool else None,
        unix_time=time.time,
    )


class _Post:
    """The real one, made in the sender's thread: `import llmclient` must not load an HTTP client."""

    def __init__(self, endpoint: str, key: str) -> None:
        self._endpoint = endpoint
        self._key = key
        self._post: Any = None

    def __call__(self, body: bytes) -> Answer:
        if self._post is None:
            from llmclient._post import Post  # noqa: PLC0415

            self._post = Post(self._endpoint, self._key)
        answer: Answer = self._post(body)
        return answer


def _sdk() -> str | None:
    version = getattr(sys.modules.get("anthropic"), "__version__", None)
    return f"anthropic/{version}" if version else None
