"""Usage & cost: what drives usage, and what does one request cost?"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from metrics import units
from metrics.units import Unit
from tests.dashboard.oracle import prices
from tests.dashboard.oracle.asked import (
    NONE,
    File,
    Scene,
    Tile,
    calls,
    change,
    largest,
    named,
    spoken,
    tile,
    total,
    value,
)
from tests.dashboard.oracle.budgets import month_tile
from tests.dashboard.oracle.overview import said_of_stack, stack
from tests.metrics.oracle import ratio

COLUMNS = {
    "Requests": "requests",
    "Cost per request": "cost_per_request",
    "Cost per answer": "cost_per_success",
    "Fully loaded cost": "fully_loaded_cost",
    "Input tokens": "input_tokens",
    "Output tokens": "output_tokens",
    "Cache write tokens": "cache_write_tokens",
    "Cache read tokens": "cache_read_tokens",
    "Cache hit rate": "cache_hit_rate",
    "Latency p95": "latency_p95",
    "Error rate": "error_rate",
}
# What an address may cut the table by, the property of calls, and whether the table is about calls that have one only.
CUTS = {
    "feature": ("feature", False),
    "prompt_type": ("prompt_type", False),
    "version": ("prompt_version", False),
    "model": ("model", False),
    "user": ("user_id", True),
    "key": ("key", False),
    "env": ("environment", True),
    "release": ("release", False),
}


def parts_by(cut: str) -> Callable[[Scene], File]:
    """The table of the page, cut by a property; there are fewer parts than rows."""
    dimension, only_with = CUTS[cut]

    def drawn(scene: Scene) -> File:
        parts = named(scene.now, dimension)
        before = None if scene.before is None else named(scene.before, dimension)
        if only_with:
            parts.pop(NONE, None)
        columns = {label: metric for label, metric in COLUMNS.items() if cut != "user" or label != "Latency p95"}
        rows = []
        for name in largest(parts, "spend", 100)[0]:
            own = parts[name]
            # Without any call there, nothing is known to compare with.
            earlier = [] if before is None else [total("spend", before.get(name, [])) if before else None]
            numbers = [value(metric, own) for metric in columns.values()]
            rows.append((name, total("spend", own), *earlier, total("unpriced", own), *numbers))
        spent = ["Spend"] if before is None else ["Spend", f"Spend, {scene.asked.compared_with}"]
        heading = {"prompt_type": "Prompt type", "version": "Prompt version", "key": "API key", "env": "Environment"}
        return File([heading.get(cut, cut.capitalize()), *spent, "Unpriced", *columns], rows)

    return drawn


def tokens(scene: Scene) -> File:
    names = {"input": "input_tokens", "output": "output_tokens"}
    return scene.course(
        names | {"read from the cache": "cache_read_tokens", "written to the cache": "cache_write_tokens"}
    )


def waste(scene: Scene) -> File:
    spend = total("spend", scene.now)
    reasons = {
        "Failed or given up": "failed",
        "Cut off at the token limit": "truncated",
        "In the wrong form": "invalid",
    }
    rows = []
    for label, reason in reasons.items():
        cost = sum(call.cost or 0 for call in scene.now if call.wasted == reason)
        rows.append((label, cost, ratio(cost, spend)))
    return File(["Why", "Spend", "Share of spend"], rows)


def cache(scene: Scene) -> File:
    labels = ["Model", "Cache read tokens", "Cache write tokens", "Cache hit rate", "Cache savings"]
    models = named(scene.now, "model")
    rows = []
    for name in largest(models, "spend", 100)[0]:
        own = models[name]
        if any(sum(call.tokens[2:]) for call in own):
            metrics = ("cache_read_tokens", "cache_write_tokens", "cache_hit_rate", "cache_savings")
            rows.append((name, *(value(metric, own) for metric in metrics)))
    return File(labels, rows)


def unpriced(scene: Scene) -> File:
    models = named(scene.now, "model")
    rows = []
    for name in largest(models, "spend", 100)[0]:
        own = models[name]
        lacking = [call for call in own if call.cost is None]
        # Where only some lack a price, nobody keeps their tokens apart.
        used = total("tokens", own) or None if len(lacking) == len(own) else None
        if lacking:
            rows.append((name, len(lacking), used))
    return File(["Model", "Calls", "Tokens"], rows)


def alternatives(scene: Scene) -> File:
    """The same tokens at every model of the price list, the cheapest first."""
    own = _used(scene)
    listed = sum(_at(model, used) for model, used in own.items())
    whole = [sum(used[kind] for used in own.values()) for kind in range(5)]
    rows = []
    for model in prices.plain():
        cost = _at(model, whole)
        share = None if listed == 0 else ratio(cost - listed, listed)
        rows.append((model, cost, cost - listed, share, "yes" if model in own else "no"))
    rows.sort(key=lambda row: (row[1], row[0]))
    return File(["Model", "Cost", "Difference", "Difference, share", "Used in this range"], rows)


def _used(scene: Scene) -> dict[str, list[int]]:
    """The tokens of each model that has a price, by what they are charged as."""
    found: dict[str, list[int]] = {}
    for name, own in named(scene.now, "model").items():
        if (model := _undated(name)) in prices.plain():
            found[model] = [sum(call.tokens[kind] for call in own) for kind in range(5)]
    return found


def _undated(model: str) -> str:
    name, _, date = model.rpartition("-")
    return name if len(date) == 8 and date.isdigit() else model


def _at(model: str, used: Sequence[int]) -> int:
    return sum(count * price for count, price in zip(used, prices.plain()[model], strict=True))


def tiles(scene: Scene) -> list[Tile]:
    unknown = total("unpriced", scene.now)
    note = f"without {calls(unknown)} of unknown cost" if unknown else ""
    load = "" if not scene.is_library else "no infrastructure rates yet"
    money = Unit.NANOUSD
    return [
        tile(scene, "Spend", "spend", money, note),
        month_tile(scene),
        tile(scene, "Cost per request", "cost_per_request", money),
        tile(scene, "Cost per answer", "cost_per_success", money),
        tile(scene, "Fully loaded cost", "fully_loaded_cost", money, load),
        tile(scene, "Cache hit rate", "cache_hit_rate", Unit.RATIO),
    ]


def answer(scene: Scene) -> tuple[str, str]:
    """What costs most, its share, whether it grows, and what one request costs there and on the whole."""
    if not scene.now:
        return "No call was made in this range.", ""
    parts = named(scene.now, "feature")
    name = largest(parts, "spend", 1)[0][0]
    own, whole = total("spend", parts[name]), total("spend", scene.now)
    who, tail = "Calls without a feature" if name == NONE else spoken(name), _growth(scene, name, own)
    each, per = value("cost_per_request", parts[name]), value("cost_per_request", scene.now)
    if own == whole:
        verb = "are" if name == NONE else "is"
        return f"{who} {verb} all of the spend: {units.money(own)}{tail}.", f"One request costs {units.money(per)}."
    verb = "cost" if name == NONE else "costs"
    said = f"{who} {verb} most: {units.money(own)} of {units.money(whole)}, {units.ratio(ratio(own, whole))}{tail}."
    return said, f"One request costs {units.money(each)} there, {units.money(per)} on the whole."


def _growth(scene: Scene, name: str, now: int) -> str:
    if not scene.before:
        return ""
    own = named(scene.before, "feature").get(name, [])
    before, unknown, words = total("spend", own), total("unpriced", own), scene.asked.compared_with
    if before == 0:
        return f", new since {words}" if unknown == 0 and now > 0 else ""
    if len(own) < 30:
        return f", against {units.money(before)} {words}"
    percent, _ = change(now, before, len(own), Unit.NANOUSD, words)
    return f", {'up' if now > before else 'down'} {percent} on {words}"


PANELS: Mapping[str, Callable[[Scene], File]] = {
    "trend": stack("spend", "feature"),
    "tokens": tokens,
    "parts": parts_by("feature"),
    "waste": waste,
    "cache": cache,
    "unpriced": unpriced,
    "models": alternatives,
}


# --- in words


def said_of_tokens(scene: Scene) -> str:
    names = {"input": "input_tokens", "output": "output_tokens"}
    names |= {"read from the cache": "cache_read_tokens", "written to the cache": "cache_write_tokens"}
    whole = total("tokens", scene.now)
    if whole == 0:
        return "No token is known to have been used in this range."
    sums = {name: total(metric, scene.now) for name, metric in names.items()}
    shares = ", ".join(f"{units.ratio(ratio(part, whole))} {name}" for name, part in sums.items() if part)
    return f"{units.tokens(whole)} tokens: {shares}."


def said_of_parts(scene: Scene) -> str:
    """How few parts make up four fifths of the spend."""
    if not scene.now:
        how = 'Calls made inside llmclient.context(feature="inbox") have one.'
        return f"No call with a feature was made in this range. {how}"
    parts = named(scene.now, "feature")
    names, whole, spent, places = largest(parts, "spend", 100)[0], total("spend", scene.now), 0, 0
    while 5 * spent < 4 * whole:
        spent, places = spent + total("spend", parts[names[places]]), places + 1
    number = f"{len(names)} {'feature' if len(names) == 1 else 'features'}"
    if places == len(names):
        return f"{number}."
    first = f"the first {f'{places} make' if places > 1 else 'makes'} up"
    return f"{number}; {first} {units.ratio(ratio(spent, whole))} of the spend."


def said_of_waste(scene: Scene) -> str:
    costs = {str(row[0]): int(str(row[1])) for row in waste(scene).rows}
    wasted, spend = sum(costs.values()), total("spend", scene.now)
    if wasted == 0:
        return "Nothing is known to have been paid for calls without a usable answer."
    first = max(costs, key=lambda label: costs[label])
    text = f"{units.money(wasted)} brought no usable answer, {units.ratio(ratio(wasted, spend))} of the spend"
    if costs[first] == wasted:
        return f"{text}, all of it {first.lower()}."
    return f"{text}; the largest part {first.lower()}."


def said_of_cache(scene: Scene) -> str:
    """Reading is cheaper than plain input, writing dearer; of models with a price."""
    if not any(sum(call.tokens[2:]) for call in scene.now):
        return "No prompt went through the provider's cache in this range."
    discount = premium = 0
    for model, used in _used(scene).items():
        plain, _, read, short, long = prices.plain()[model]
        discount += used[2] * (plain - read)
        premium += used[3] * (short - plain) + used[4] * (long - plain)
    saved = total("cache_savings", scene.now)
    assert discount - premium == saved
    sides = f"{units.money(discount)} less for reading, {units.money(premium)} more for writing"
    if saved < 0:
        return f"The prompt cache cost {units.money(-saved)} more than it saved: {sides}."
    return f"The prompt cache saved {units.money(saved)} at list prices: {sides}."


def said_of_unpriced(scene: Scene) -> str:
    if not scene.now:
        return "No call was made in this range."
    unknown = [call for call in scene.now if call.cost is None]
    without = [call for call in unknown if _undated(call.model) not in prices.plain()]
    models = len({call.model for call in without})
    said = "They are in no sum of money here, and not counted as $0."
    if not unknown:
        return "The cost of every call in this range is known."
    if not without:
        return f"Of {calls(len(unknown))} nobody knows the cost. {said}"
    others = len(unknown) - len(without)
    rest = f"; of {calls(others)} the cost is unknown for other reasons" if others else ""
    many = "1 model" if models == 1 else f"{models} models"
    return f"{calls(len(without))} of {many} without a price{rest}. {said} Staff can add a price."


def said_of_alternatives(scene: Scene) -> str:
    own = _used(scene)
    listed = sum(_at(model, used) for model, used in own.items())
    if listed == 0:
        return "No token of a model with a price was used in this range."
    paid = units.money(total("spend", scene.now))
    charged = "" if paid == units.money(listed) else f" ({paid} was charged)"
    text = f"At today's list prices of the models used they cost {units.money(listed)}{charged}"
    best, cost, *_ = alternatives(scene).rows[0]
    assert isinstance(cost, int)
    if cost < listed:
        less = units.ratio(Fraction(listed - cost, listed))
        text = f"{text}, all at {best} {units.money(cost)}, {less} less"
    left_out = sum(sum(call.tokens) for call in scene.now if _undated(call.model) not in prices.plain())
    left = f" {units.tokens(left_out)} tokens of models without a price are left out." if left_out else ""
    rest = "Rates for long prompts, batches, fast mode and regions are not in it; dearer models are in the files."
    return f"An estimate: the same tokens, quality not assessed. {text}.{left} {rest}"


SENTENCES: Mapping[str, Callable[[Scene], str]] = {
    "trend": said_of_stack("spend", "feature", Unit.NANOUSD, "Spend: nothing in this range.", "Spend"),
    "tokens": said_of_tokens,
    "parts": said_of_parts,
    "waste": said_of_waste,
    "cache": said_of_cache,
    "unpriced": said_of_unpriced,
    "models": said_of_alternatives,
}
