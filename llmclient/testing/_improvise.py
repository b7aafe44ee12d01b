"""Answers nobody scripted: plain sentences, JSON that fits the schema asked for, or the use of a tool."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmclient.testing._answers import Reply, structured, tool_use
from llmclient.testing._messages import CHARS_PER_TOKEN
from llmclient.testing._requests import Request
from llmclient.testing._schema import example
from llmclient.testing._words import sentences

MEDIAN_OUTPUT: Final = 60  # tokens


def improvised(request: Request, seed: int) -> Reply:
    """A seeded answer: the same seed gives the same sequence of answers. Raises SchemaError."""
    # A request inside a batch shares its number with the others in there.
    dice = random.Random(f"{seed}:reply:{request.number}{request.custom_id or ''}")  # noqa: S311  no secret
    body = request.body or {}
    schema = _schema_of(body)
    if schema is not None:
        return structured(example(schema, dice))
    tool = _tool_of(body, dice)
    if tool is not None:
        return tool_use(str(tool.get("name")), example(tool.get("input_schema", {"type": "object"}), dice))
    return _sentences(body, dice)


def _sentences(body: Mapping[str, Any], dice: random.Random) -> Reply:
    wanted = max(1, round(MEDIAN_OUTPUT * dice.lognormvariate(0, 0.7)))
    limit = int(body.get("max_tokens", wanted))
    tokens = min(wanted, limit)
    text = sentences(dice, round(tokens * CHARS_PER_TOKEN))
    return Reply(text, output_tokens=tokens, stop_reason="max_tokens" if wanted > limit else "end_turn")


def _schema_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    output = body.get("output_config")
    wanted = output.get("format") if isinstance(output, Mapping) else None
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return None
    schema = wanted.get("schema")
    return schema if isinstance(schema, Mapping) else None


def _tool_of(body: Mapping[str, Any], dice: random.Random) -> Mapping[str, Any] | None:
    """The tool that has to be used: the one named by `tool_choice`, or one of them where it says "any"."""
    choice, tools = body.get("tool_choice"), body.get("tools")
    if not isinstance(choice, Mapping) or not isinstance(tools, Sequence) or not tools:
        return None
    if choice.get("type") == "any":
        drawn: Mapping[str, Any] = dice.choice(tools)
        return drawn
    if choice.get("type") != "tool":
        return None
    return next((tool for tool in tools if tool.get("name") == choice.get("name")), None)
