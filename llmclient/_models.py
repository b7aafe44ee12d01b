"""Which models share limits, and so a breaker, a limiter and a retry budget."""


def group_of(model: str, *, fast: bool = False) -> str:
    """The models that share one pool: `claude-opus-5-5` and `claude-opus-5` are both `opus-5`; fast is a pool apart."""
    parts = model.removeprefix("claude-").split("-")
    name = "-".join(parts[:2])
    return f"{name} fast" if fast else name
