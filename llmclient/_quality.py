"""What was found out about an answer after its call was over: whether it had the form asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmclient._quietly import quietly

if TYPE_CHECKING:
    from llmclient._call import Call


@dataclass(frozen=True, slots=True)
class Quality:
    """Of the last of the calls that were made for one result."""

    valid: bool
    repairs: int
    """Times the answer had to be asked for again before."""


Sink = Callable[["Call", Quality], None]
_sink: Sink | None = None


def send_to(sink: Sink | None) -> None:
    """Whoever keeps the calls wants to know. The call it is told may be on its way to the server already."""
    global _sink  # noqa: PLW0603  # one telemetry per process is the point
    _sink = sink


def tell(call: "Call | None", quality: Quality) -> None:
    """Hands it on; never raises. None: the call was not measured."""
    if call is not None and _sink is not None:
        quietly(_sink, call, quality)
