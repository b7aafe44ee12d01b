"""Message templates: an error message without what differs from call to call, so that equal troubles look equal.

Messages are text from outside. The patterns take time in proportion to the length, whatever is in them.
"""

import re
from functools import lru_cache
from typing import Final

LONGEST: Final = 200
NUMBER: Final = "#"
PART: Final = "…"

# How the SDK writes an exception: the message is one of several quoted parts, and the only one worth reading.
_IN_JSON: Final = re.compile(r"""["']message["']: ?(?:"([^"]*)"|'([^']*)')""")
_SPACES: Final = re.compile(r"\s+")
# In this order: what is quoted may hold ids, and ids hold numbers.
_REPLACED: Final = (
    # An apostrophe within a word quotes nothing.
    (re.compile(r"(?<!\w)'[^']*'(?!\w)"), f"'{PART}'"),
    (re.compile(r'"[^"]*"'), f'"{PART}"'),
    (re.compile(r"`[^`]*`"), f"`{PART}`"),
    (re.compile("“[^“”]*”"), f"“{PART}”"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), PART),
    # req_011CSHoEeqs5C35K2UUqR7Fy, toolu_01A09q90qw90lq917835lq9: a word, and then no word.
    (re.compile(r"\b[A-Za-z]{2,16}_(?=[A-Za-z]{0,40}\d)[A-Za-z0-9]{10,}\b"), PART),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-f]{0,64}\d)(?=\d{0,64}[a-f])[0-9a-f]{8,64}\b", re.IGNORECASE), PART),
    (re.compile(r"\b(?=[A-Za-z]{0,40}\d)(?=\d{0,40}[A-Za-z])[A-Za-z0-9]{20,}\b"), PART),
    (re.compile(r"(?<![A-Za-z\d])\d+(?:[.,:/-]\d+)*"), NUMBER),
)


def template_of(message: str) -> str:
    """Return the message with numbers as `#`, and ids and quoted parts as `…`; at most 200 characters."""
    inner = _IN_JSON.search(message)
    return _template(message if inner is None else inner[1] or inner[2] or "")


# Around the message the SDK writes the id of the request, which is another one each time.
@lru_cache(maxsize=8192)
def _template(text: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    text = _SPACES.sub(" ", text).strip()
    for pattern, instead in _REPLACED:
        text = pattern.sub(instead, text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + PART
