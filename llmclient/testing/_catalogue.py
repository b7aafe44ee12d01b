"""What the made-up product asks Claude for: its features, their prompt types, and words to fill them with."""

import random
from dataclasses import dataclass
from typing import Final

from llmclient.testing._words import sentences

OPUS: Final = "claude-opus-5-5"
SONNET: Final = "claude-sonnet-5-5"
HAIKU: Final = "claude-haiku-5-5"


@dataclass(frozen=True, slots=True)
class PromptType:
    """One kind of prompt of a feature, with its version in use and a template."""

    name: str
    version: str
    weight: float
    template: str


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of the product. `typical_output` (tokens) decides which calls of a trace it is likely to have made."""

    name: str
    weight: float
    typical_output: int
    streamed: float
    """Share of its calls that are streamed."""
    cached: float
    """Share of its calls whose prompt begins with something that is in the prompt cache."""
    models: tuple[tuple[str, float], ...]
    prompts: tuple[PromptType, ...]


FEATURES: Final = (
    Feature(
        "support-chat",
        0.42,
        160,
        0.9,
        0.5,
        ((SONNET, 0.78), (HAIKU, 0.17), (OPUS, 0.05)),
        (
            PromptType("answer", "3", 0.8, "{name} ({email}) writes: my order {number} has not arrived. What do I do?"),
            PromptType("triage", "2", 0.2, "Decide how urgent this is: {name} cannot sign in since this morning."),
        ),
    ),
    Feature(
        "doc-summary",
        0.2,
        400,
        0.6,
        0.15,
        ((SONNET, 0.85), (OPUS, 0.15)),
        (
            PromptType("summarise", "7", 0.7, "Summarise for a busy reader. Document {number}: {filler}"),
            PromptType("outline", "4", 0.3, "List the headings this document should have. Document {number}: {filler}"),
        ),
    ),
    Feature(
        "code-review",
        0.14,
        480,
        0.75,
        0.6,
        ((OPUS, 0.6), (SONNET, 0.4)),
        (
            PromptType("review", "4", 0.75, "Review change {number} by {name}. Say what can break, the worst first."),
            PromptType("explain", "1", 0.25, "Explain to a new colleague what the module of change {number} is for."),
        ),
    ),
    Feature(
        "extract",
        0.14,
        70,
        0.05,
        0.3,
        ((HAIKU, 0.7), (SONNET, 0.3)),
        (
            PromptType(
                "invoice", "5", 0.6, "Return the invoice number, the date and the total. Invoice {number}, {email}"
            ),
            PromptType("contact", "2", 0.4, "Return name, e-mail and telephone: {name}, {email}, +49 30 {number}"),
        ),
    ),
    Feature(
        "classify",
        0.1,
        12,
        0.0,
        0.2,
        ((HAIKU, 0.92), (SONNET, 0.08)),
        (
            PromptType(
                "sentiment", "1", 0.5, "Positive, neutral or negative? “Ticket {number} took too long, {name}.”"
            ),
            PromptType("topic", "2", 0.5, "Which topic: billing, delivery, account, other? “{filler}”"),
        ),
    ),
)

NAMES: Final = ("Ada Brandt", "Bo Lindqvist", "Chiara Rossi", "Deniz Kaya", "Emeka Obi", "Fatima Zahra", "Goro Sato")


def prompt_text(prompt: PromptType, dice: random.Random) -> str:
    """The words of one prompt; the people in it are made up and their mail domain cannot exist."""
    name = dice.choice(NAMES)
    return prompt.template.format(
        name=name,
        email=f"{name.split()[0].lower()}{dice.randrange(100)}@mail.example",
        number=dice.randrange(100_000, 1_000_000),
        filler=sentences(dice, 140),
    )


def answer_text(feature: Feature, dice: random.Random) -> str:
    """The words of one answer, short whatever the tokens say: the tokens are what is measured."""
    if feature.name == "classify":
        return dice.choice(("positive", "neutral", "negative", "billing", "delivery", "account"))
    if feature.name == "extract":
        return f'{{"number": "{dice.randrange(100_000, 1_000_000)}", "total": "{dice.randrange(1_000, 90_000) / 100}"}}'
    return sentences(dice, 280)
