"""Plain sentences for answers nobody wrote."""

import random
from typing import Final

SENTENCES: Final = (
    "Here is what I found in the material you gave me.",
    "The order left the warehouse on Tuesday and should arrive within two days.",
    "You can change this under Settings, in the section called Notifications.",
    "The second paragraph contradicts the first one and should be checked.",
    "I would start with the smaller change, because it can be undone.",
    "The total is correct, but one line has been counted twice.",
    "Please restart the device once and tell me what the display says.",
    "This function is called with an empty list in two places.",
    "The contract can be ended at the end of each month.",
    "Nothing in the document speaks against it.",
    "There are three causes that come to mind, the first is the most likely.",
    "Thank you, that helps; the refund is on its way.",
)


def sentences(dice: random.Random, length: int) -> str:
    """About `length` characters of text, cut at the end of a word where possible."""
    parts: list[str] = []
    size = 0
    while size < length:
        parts.append(dice.choice(SENTENCES))
        size += len(parts[-1]) + 1
    text = " ".join(parts)
    return text[:length].rsplit(" ", 1)[0] if " " in text[:length] else text[:length] or "Yes."
