"""Wasted calls: paid for, and no usable answer. The same calls as in the cost of waste (metrics.facts), by why."""

from typing import Final

from django.db.models import Q

from ingest.vocabulary import ANSWERED, ErrorCategory, StopReason

_IS_ANSWERED: Final = Q(outcome__in=[outcome.value for outcome in ANSWERED])
_IS_CUT_OFF: Final = Q(
    stop_reason__in=[StopReason.MAX_TOKENS.value, StopReason.MODEL_CONTEXT_WINDOW_EXCEEDED.value]
) | Q(error=ErrorCategory.TRUNCATED.value)
_IS_PAID: Final = Q(cost_nanousd__gt=0)

# Word in the address (dashboard.query.WASTE) → condition.
WASTED: Final = {
    "failed": _IS_PAID & ~_IS_ANSWERED,
    "truncated": _IS_PAID & _IS_ANSWERED & _IS_CUT_OFF,
    "invalid": _IS_PAID & _IS_ANSWERED & ~_IS_CUT_OFF & Q(valid=0),
}
