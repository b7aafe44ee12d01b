"""Which models share limits, and so a breaker, a limiter and a retry budget."""


def group_of(model: str) -> str:
    """The models that share one pool: `claude-opus-5-5` and `claude-opus-5` are both `opus-5`."""
    parts = model.removeprefix("claude-").split("-")
    return "-".join(parts[:2])
