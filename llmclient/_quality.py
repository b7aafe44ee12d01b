"""What was found out about an answer after its call was over: whether it had the form asked for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmclient import _config
from llmclient._quietly import quietly
from llmclient._score import score_of

if TYPE_CHECKING:
    from llmclient._call import Call


@dataclass(frozen=True, slots=True)
class Quality:
    """Of the last of the calls that were made for one result."""

    valid: bool
    repairs: int
    """Times the answer had to be asked for again before."""


def tell(call: "Call | None", quality: Quality) -> None:
    """Notes it at the call, and sends it after it as scores. Never raises. None: the call was not measured."""
    if call is None:
        return
    # The event may have left already, without this; then the scores say it, and else they say the same.
    call.valid, call.repairs = quality.valid, quality.repairs
    quietly(_send, call, quality)


def _send(call: "Call", quality: Quality) -> None:
    emit = _config.current().emit
    emit(score_of(call.id, "valid", quality.valid))
    emit(score_of(call.id, "repairs", quality.repairs))
