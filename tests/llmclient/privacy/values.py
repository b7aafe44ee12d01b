"""Made-up personal data and secrets, by the rules of those who give them out, not by what the detectors look for.

The templates are in values.toml.
"""

import base64
import ipaddress
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
DIGITS: Final = "0123456789"
SIGNS: Final = {
    "#": DIGITS,
    "%": "123456789",
    "&": "23456789",
    "~": "%",
    "?": LETTERS,
    "^": LETTERS.upper(),
    "*": LETTERS + LETTERS.upper() + DIGITS,
}
TEMPLATES: Final = tomllib.loads((Path(__file__).parent / "values.toml").read_text())
CARDS: Final = [(prefix, length) for prefix, length in TEMPLATES["cards"]]
CARD_GROUPS: Final = {14: (4, 6, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4), 19: (4, 4, 4, 4, 3)}
IBANS: Final[dict[str, str]] = TEMPLATES["ibans"]
FIRST: Final = ("anna", "björn", "carla", "dmitri", "elena", "françois", "inés", "jürgen", "li", "mário", "óscar")
LAST: Final = ("schmidt", "o'neil", "garcía", "lefèvre", "müller", "rossi", "nowak", "kaya", "van-dijk", "smith")

Local = Callable[[Random, str, str], str]
# Local parts as RFC 5322 allows them, from a first and a last name.
LOCALS: Final[tuple[Local, ...]] = (
    lambda rng, first, last: f"{first}.{last}",
    lambda rng, first, last: f"{first}.{last}",
    lambda rng, first, last: f"{first}_{last}",
    lambda rng, first, last: f"{first}-{last}",
    lambda rng, first, last: f"{first}{digits(rng, 2)}",
    lambda rng, first, last: f"{first}+news",
    lambda rng, first, last: f"{first}.{last}+tag-{digits(rng, 2)}",
    lambda rng, first, last: first[0],
    lambda rng, first, last: f"{first[0]}.{last}",
    lambda rng, first, last: f"{first}.{last}".upper(),
    lambda rng, first, last: f"_{first}",
    lambda rng, first, last: f"{first}%{last}",
    lambda rng, first, last: f"!def!xyz%{first}",
    lambda rng, first, last: f"$A{digits(rng, 5)}",
    lambda rng, first, last: f"{first}#{last}~",
    lambda rng, first, last: f"{first}.{last}.{last}.{first}",
    lambda rng, first, last: digits(rng, 7),
    lambda rng, first, last: filled(rng, "?*?*?*?*?*?*?*?*?*"),
    lambda rng, first, last: f'"{first} {last}"',
    lambda rng, first, last: f'"{first}@home"',
)
# Allowed, too, but also what stands around addresses in links and JSON: reported by themselves.
ODD_LOCALS: Final[tuple[Local, ...]] = (
    lambda rng, first, last: f"customer/department={first}",
    lambda rng, first, last: f"{first}&{last}",
    lambda rng, first, last: f"{first}={last}",
    lambda rng, first, last: f"{first}?{last}",
    lambda rng, first, last: f"{{{first}}}",
    lambda rng, first, last: f"a|{first}",
)


def filled(rng: Random, template: str) -> str:
    """The template with a random character for each of its signs."""
    whole = re.sub(r"([#%&?^*])\{(\d+)\}", lambda match: match[1] * int(match[2]), template)
    return "".join(rng.choice(SIGNS[sign]) if sign in SIGNS else sign for sign in whole)


def digits(rng: Random, count: int) -> str:
    return "".join(rng.choice(DIGITS) for _ in range(count))


def check_digit(body: str) -> str:
    """Luhn's, as ISO/IEC 7812 describes it: digits of the doubles are added."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        number = int(digit) * (2 if place % 2 == 0 else 1)
        total += number // 10 + number % 10
    return str(-total % 10)


def email(rng: Random, locals_: tuple[Local, ...] = LOCALS) -> str:
    local = rng.choice(locals_)(rng, rng.choice(FIRST), rng.choice(LAST))
    return f"{local}@{filled(rng, rng.choice(TEMPLATES['domains']))}"


def card(rng: Random) -> str:
    prefix, length = rng.choice(CARDS)
    body = prefix + digits(rng, length - 1 - len(prefix))
    number = body + check_digit(body)
    style = rng.choice(("", "", " ", " ", " ", "-", "."))
    return grouped(number, CARD_GROUPS[length], style) if style else number


def grouped(text: str, sizes: tuple[int, ...], sign: str) -> str:
    parts, done = [], 0
    for size in sizes:
        parts.append(text[done : done + size])
        done += size
    return sign.join(part for part in [*parts, text[done:]] if part)


def iban(rng: Random) -> str:
    country, structure = rng.choice(sorted(IBANS.items()))
    body = ""
    for count, sign in re.findall(r"(\d+)([nac])", structure):
        letters = {"n": DIGITS, "a": LETTERS.upper(), "c": DIGITS + LETTERS.upper()}[sign]
        body += "".join(rng.choice(letters) for _ in range(int(count)))
    value = int("".join(str(int(character, 36)) for character in f"{body}{country}00"))
    whole = f"{country}{98 - value % 97:02}{body}"
    style = rng.choice(("", " ", " ", "-"))
    whole = grouped(whole, (4,) * 8, style) if style else whole
    return whole.lower() if rng.random() < 0.1 else whole


def ssn(rng: Random) -> str:
    area = rng.choice([number for number in range(1, 900) if number != 666])
    sign = rng.choice(("-", "-", "-", " "))
    return f"{area:03}{sign}{rng.randint(1, 99):02}{sign}{rng.randint(1, 9999):04}"


def ip(rng: Random) -> str:
    if rng.random() < 0.6:
        first = rng.choice((rng.randint(1, 126), rng.randint(128, 223)))
        return f"{first}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"
    start = rng.choice((0x2001, 0x2A02, 0x2600, 0xFD12, 0xFE80))
    middle = rng.choice((0, 0, rng.getrandbits(80)))
    address = ipaddress.IPv6Address((start << 112) | (middle << 32) | rng.getrandbits(32))
    return rng.choice((str(address), str(address), str(address).upper(), address.exploded))


def phone(rng: Random) -> str:
    return filled(rng, rng.choice(TEMPLATES["phones"]))


def api_key(rng: Random) -> str:
    return filled(rng, rng.choice(TEMPLATES["keys"]))


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def jwt(rng: Random) -> str:
    header = {"alg": rng.choice(("HS256", "RS256", "ES256", "none")), "typ": "JWT"}
    claims = {"sub": digits(rng, 8), "name": rng.choice(FIRST), "exp": 1_700_000_000 + rng.randrange(10**8)}
    signature = _part(rng.randbytes(rng.choice((32, 64, 256)))) if header["alg"] != "none" else ""
    return f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}.{signature}"


def private_key(rng: Random) -> str:
    name = rng.choice(
        ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
    )
    body = base64.encodebytes(rng.randbytes(rng.choice((48, 121, 600)))).decode()
    return f"-----BEGIN {name}-----\n{body}-----END {name}-----"


def password(rng: Random) -> str:
    return filled(rng, rng.choice(("*{12}", "s3cret!**", "p$**##", "***-***-***")))


KINDS: Final[dict[str, Callable[[Random], str]]] = {
    "email": email,
    "card": card,
    "iban": iban,
    "ssn": ssn,
    "ip": ip,
    "phone": phone,
    "api_key": api_key,
    "jwt": jwt,
    "private_key": private_key,
    "password": password,
}
