"""How far a budget is used up, as a word and as a bar that needs neither a script nor an inline style."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from budgets.models import Budget
from budgets.spending import BudgetStatus
from metrics import units

WIDTH = 120  # of the bar, in user units


def word(budget: Budget, status: BudgetStatus) -> str:
    """ok, at 80 %, over, or paused: the highest threshold that is reached decides."""
    if not budget.active:
        return "paused"
    if status.reached(100):
        return "over"
    reached = [threshold.percent for threshold in budget.thresholds.all() if status.reached(threshold.percent)]
    return f"at {max(reached)}{units.SPACE}%" if reached else "ok"


def sentence(status: BudgetStatus) -> str:
    """$41.20 of $500, and what the sum does not know."""
    text = f"{units.money(status.counted_nanousd)} of {units.money(status.amount_nanousd)}"
    if status.unpriced == 0:
        return text
    calls = f"{units.count(status.unpriced)} {'call' if status.unpriced == 1 else 'calls'} without a known price"
    return f"{text}, of it about {units.money(status.estimated_nanousd)} for {calls}"


def bar(status: BudgetStatus) -> SafeString:
    """An SVG of the share; its words are in the `title`, so that it can be heard as well."""
    filled = min(int(status.share * WIDTH), WIDTH)
    colour = "#b42318" if status.reached(100) else "#8a5a00" if status.reached(80) else "#157347"
    return format_html(
        '<svg class="budget-bar" width="{w}" height="10" role="img"><title>{title}</title>'
        '<rect width="{w}" height="10" rx="2" fill="none" stroke="currentColor" stroke-opacity="0.4"/>'
        '<rect width="{filled}" height="10" rx="2" fill="{colour}"/></svg>',
        w=WIDTH,
        title=f"{units.ratio(status.share)} spent",
        filled=filled,
        colour=colour,
    )
