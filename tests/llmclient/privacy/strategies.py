"""Texts that are hard on a redactor: any characters, pieces of what is looked for, whole values in disguise."""

from random import Random

from hypothesis import strategies as st

from tests.llmclient.privacy.disguises import DISGUISES
from tests.llmclient.privacy.values import KINDS

FRAGMENTS = (
    *"4-+ ./()@:%\\[]\"'\n\0",
    *("4111", "00", "+49", "DE89", "tel ", "://", "a:b@", "eyJ", "sk-", "api_key=", "Bearer "),
    *("\u200b", "\ud800", "\udc00", "\u0301", "ﬁ", "１", "%40", "%25", "\\u0040", "\\n", "&#64;"),
    *("-----BEGIN PRIVATE KEY-----", "[email]", "[phone] ", "… [5 characters left out]", ";base64,", "{}"),
)


def _value(seed: int, kind: str, disguise: str | None) -> str:
    value = KINDS[kind](Random(seed))
    return value if disguise is None else DISGUISES[disguise](Random(seed), value)


values = st.builds(
    _value, st.integers(0, 10**6), st.sampled_from(sorted(KINDS)), st.sampled_from([None, None, *DISGUISES])
)
characters = st.characters(exclude_categories=())  # lone surrogates, too
texts = st.lists(st.one_of(st.text(characters, max_size=6), st.sampled_from(FRAGMENTS), values), max_size=10).map(
    "".join
)
documents = st.recursive(
    st.one_of(texts, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(texts, st.sampled_from(["phone", "password", "text", "type"])), inner, max_size=4),
        st.lists(texts.map(lambda text: {"type": "text", "text": text}), max_size=4),
    ),
    max_leaves=8,
)
