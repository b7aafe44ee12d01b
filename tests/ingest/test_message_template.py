"""Templates of error messages as the API and the SDK write them, and of messages that want to do harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.message_template import LONGEST, template_of


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("", ""),
        ("Overloaded", "Overloaded"),
        ("prompt is too long: 210013 tokens > 200000 maximum", "prompt is too long: # tokens > # maximum"),
        (
            (
                "input length and `max_tokens` exceed context limit: 199,978 + 21,333 > 200,000, decrease input length"
                " or `max_tokens` and try again"
            ),
            "input length and `…` exceed context limit: # + # > #, decrease input length or `…` and try again",
        ),
        (
            (
                "max_tokens: 300000 > 64000, which is the maximum allowed number of output tokens for"
                " claude-sonnet-4-5-20250929"
            ),
            "max_tokens: # > #, which is the maximum allowed number of output tokens for claude-sonnet-#",
        ),
        (
            (
                "messages.3: `tool_use` ids were found without `tool_result` blocks immediately after:"
                " toolu_01A09q90qw90lq917835lq9. Each `tool_use` block must have a corresponding `tool_result` block in"
                " the next message."
            ),
            (
                "messages.#: `…` ids were found without `…` blocks immediately after: …. Each `…` block must have a"
                " corresponding `…` block in the next message."
            ),
        ),
        (
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
            "You have reached your specified API usage limits. You will regain access on # at # UTC.",
        ),
        (
            (
                "This request would exceed your organization's rate limit of 50,000 input tokens per minute"
                " (organization: 7c5e2d68-1c3f-4f0e-9a37-52f0b6f0a111, model: claude-haiku-4-5)."
            ),
            (
                "This request would exceed your organization's rate limit of # input tokens per minute (organization:"
                " …, model: claude-haiku-#)."
            ),
        ),
        (
            (
                "Error code: 529 - {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'},"
                " 'request_id': 'req_011CSHoEeqs5C35K2UUqR7Fy'}"
            ),
            "Overloaded",
        ),
        (
            (
                "Error code: 429 - {'type': 'error', 'error': {'type': 'rate_limit_error', 'message': \"This request"
                " would exceed your organization's rate limit of 4,000 requests per minute.\"}}"
            ),
            "This request would exceed your organization's rate limit of # requests per minute.",
        ),
        ("Internal server error, request_id req_011CSHoEeqs5C35K2UUqR7Fy", "Internal server error, request_id …"),
        ("model: claude-3-opus-20240229", "model: claude-#-opus-#"),
        ('Unexpected value "gold" for field "tier"', 'Unexpected value "…" for field "…"'),
        ("digest 9f86d081884c7d659a2feaa0c55ad015 at 0x7ffde1 differs", "digest … at … differs"),
        ("The read took 31.5s, p95 of v2 is 8 s", "The read took #s, p95 of v2 is # s"),
        ("sk-ant-api03-AbCdEfGhIjKlMnOpQrStUv0123456789-x is no key", "sk-ant-api03-…-x is no key"),
        # White space of every kind is one space; what cannot be printed is none.
        ("two\nlines\t and\x00\u202e more", "two lines and more"),
        # Hostile text stays text: it is not this module's to escape, and it is not changed.
        ("<script>alert(1)</script>", "<script>alert(#)</script>"),
        ("it's 5 o'clock, isn't it", "it's # o'clock, isn't it"),
    ],
)
def test_what_differs_from_call_to_call_is_left_out(message: str, template: str) -> None:
    assert template_of(message) == template


def test_a_long_message_is_cut() -> None:
    assert template_of("word " * 100) == ("word " * 40)[:199] + "…"
    assert len(template_of("word " * 100)) == LONGEST


def test_two_calls_with_one_trouble_have_one_template() -> None:
    texts = [f"prompt is too long: {number} tokens > 200000 maximum (req_01{'x' * 12}{number})" for number in (1, 2)]
    assert len({template_of(text) for text in texts}) == 1


@given(st.text(max_size=500))
def test_any_text_has_one_printable_line(message: str) -> None:
    template = template_of(message)
    assert len(template) <= LONGEST
    assert template == "" or template.isprintable()
