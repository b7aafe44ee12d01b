"""Secrets whose shape gives them away, each by the letters it starts with."""

import re
from typing import Final

from llmclient._privacy._numbers import Found

_HEX: Final = "[0-9a-fA-F]"
SHAPES: Final = (
    ("sk-ant-", r"[\w-]{10,}+"),
    ("llv_", r"[a-z]{2,8}_\w{10,}+"),
    ("AKIA", r"[0-9A-Z]{16}(?!\w)"),  # AWS
    ("ASIA", r"[0-9A-Z]{16}(?!\w)"),
    ("ghp_", r"[0-9A-Za-z]{30,}+"),  # GitHub
    ("gho_", r"[0-9A-Za-z]{30,}+"),
    ("ghu_", r"[0-9A-Za-z]{30,}+"),
    ("ghs_", r"[0-9A-Za-z]{30,}+"),
    ("ghr_", r"[0-9A-Za-z]{30,}+"),
    ("github_pat_", r"\w{22,}+"),
    ("glpat-", r"[\w-]{18,}+"),  # GitLab
    ("xox", r"[abceoprs]-[\w-]{10,}+"),  # Slack
    ("xapp-", r"[\w-]{10,}+"),
    ("hooks.slack.com/services/", r"[\w/]{20,}+"),
    ("AIza", r"[\w-]{35}(?![\w-])"),  # Google
    ("ya29.", r"[\w-]{20,}+"),
    ("GOCSPX-", r"[\w-]{20,}+"),
    ("sk_live_", r"[0-9A-Za-z]{10,}+"),  # Stripe
    ("rk_live_", r"[0-9A-Za-z]{10,}+"),
    ("sk_test_", r"[0-9A-Za-z]{10,}+"),
    ("rk_test_", r"[0-9A-Za-z]{10,}+"),
    ("whsec_", r"[0-9A-Za-z+/=]{16,}+"),
    ("SG.", r"[\w-]{16,64}\.[\w-]{16,64}"),  # SendGrid
    ("npm_", r"[0-9A-Za-z]{30,}+"),
    ("pypi-", r"[\w-]{40,}+"),
    ("hf_", r"[0-9A-Za-z]{30,}+"),  # Hugging Face
    ("dop_v1_", rf"{_HEX}{{64}}"),  # DigitalOcean
    ("shpat_", rf"{_HEX}{{32}}"),  # Shopify
    ("dapi", rf"{_HEX}{{32}}(?!\w)"),  # Databricks
    ("key-", rf"{_HEX}{{32}}(?!\w)"),  # Mailgun
)
_NAME: Final = re.compile(
    r"(?:(?:api|secret|access|private|account|auth|encryption|signing)[ _-]?(?:key|token|secret)|client[_-]?secret"
    r"|refresh[_-]?token|passw(?:or)?d)[\"']?\s{0,2}\Z",
    re.IGNORECASE,
)
TELEGRAM: Final = re.compile(r"[0-9]{8,10}:AA[\w-]{33}(?![\w-])", re.ASCII)
BEARER: Final = re.compile(r"(?i:bearer)[\s:]{1,3}([\w\-.~+/]{16,}+={0,2})", re.ASCII)
BASIC: Final = re.compile(r"(?i:basic)\s([0-9A-Za-z+/]{8,}+={0,2})(?![\w-])", re.ASCII)
JWT: Final = re.compile(r"eyJ(?<![\w-]eyJ)[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?(?:\.[\w-]++){0,2}", re.ASCII)
PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN[A-Z0-9 +]{0,40}PRIVATE[ +]KEY(?:[ +]BLOCK)?-----"
    r"[^-]*+(?:-(?!----)[^-]*+)*+(-----END[A-Z0-9 +]{0,40}-----)?"
)
_BODY: Final = re.compile(r"-----BEGIN[A-Z0-9 +]{0,40}-----[0-9A-Za-z+/=\s\\]*+")


def shape(start: str, rest: str) -> re.Pattern[str]:
    """A secret that starts so; its first letters are looked for fast, and only at the beginning of a word."""
    return re.compile(rf"{re.escape(start)}(?<![0-9A-Za-z-]{re.escape(start)}){rest}", re.ASCII)


def assigned(sign: str) -> re.Pattern[str]:
    """What may be a secret behind a sign; one pattern for both signs would not be looked for as fast as one each."""
    return re.compile(rf"{sign}>?\s{{0,2}}[\"']?([\w\-./+=~]{{16,}}+)", re.ASCII)


def random_looking(match: re.Match[str]) -> Found:
    """The secret in a longer match; what has hardly any digits is a word or a line of code."""
    secret = match[match.lastindex or 0].rstrip(".")
    digits = len(re.findall(r"[0-9]", secret[:200]))
    mixed = secret != secret.lower() and secret != secret.upper()
    start = match.start(match.lastindex or 0)
    return (start, start + len(secret)) if digits > 1 or (digits == 1 and mixed) else None


def named(match: re.Match[str]) -> Found:
    """What is assigned to a name like api_key."""
    found = random_looking(match)
    return found if found and _NAME.search(match.string[max(match.start() - 24, 0) : match.start()]) else None


def authorization(match: re.Match[str]) -> Found:
    """Name and password of `Authorization: Basic …`."""
    before = match.string[max(match.start() - 24, 0) : match.start()]
    return match.span(1) if "uthorization" in before or "UTHORIZATION" in before else None


def private_key(match: re.Match[str]) -> Found:
    """A key from BEGIN to END; one that was cut off ends where its letters do."""
    if match[1]:
        return match.span()
    body = _BODY.match(match.string, match.start())
    return body.span() if body else match.span()
