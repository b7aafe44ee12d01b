"""Texts without personal data that look as if they had some, by family. The templates are in lookalikes.toml."""

import hashlib
import tomllib
import uuid
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from tests.llmclient.privacy.values import CARDS, IBANS, check_digit, digits, filled, grouped

TEMPLATES: Final[dict[str, list[str]]] = tomllib.loads((Path(__file__).parent / "lookalikes.toml").read_text())


def _template(templates: list[str]) -> Callable[[Random], str]:
    return lambda rng: filled(rng, rng.choice(templates))


def _uuid(rng: Random) -> str:
    number = uuid.UUID(int=rng.getrandbits(128), version=4)
    return rng.choice((str(number), str(number).upper(), number.hex, f"urn:uuid:{number}", f"{{{number}}}"))


def _digest(rng: Random) -> str:
    made = hashlib.new(rng.choice(("md5", "sha1", "sha256", "sha512")), rng.randbytes(8)).hexdigest()
    return made[: rng.choice((7, 12, len(made), len(made)))]


def _broken_card(rng: Random) -> str:
    prefix, length = rng.choice([each for each in CARDS if each[1] == 16])
    body = prefix + digits(rng, length - 1 - len(prefix))
    number = body + str((int(check_digit(body)) + rng.randint(1, 9)) % 10)
    return rng.choice((number, grouped(number, (4, 4, 4, 4), " "), grouped(number, (4, 4, 4, 4), "-")))


def _sixteen(rng: Random) -> str:
    """Sixteen digits that no scheme starts with."""
    number = rng.choice("01789") + digits(rng, 15)
    return rng.choice((number, grouped(number, (4, 4, 4, 4), " ")))


def _broken_iban(rng: Random) -> str:
    country = rng.choice(sorted(IBANS))
    number = f"{country}{rng.choice(('00', '01', '99'))}{digits(rng, rng.randint(11, 24))}"
    return rng.choice((number, grouped(number, (4,) * 7, " ")))


def _never_an_ssn(rng: Random) -> str:
    return filled(rng, rng.choice(("000-%#-####", "666-%#-####", "9##-%#-####", "%##-00-####", "%##-##-0000")))


def _number(rng: Random) -> str:
    value = rng.random()
    place = f"{value * 90:.6f}, {value * -180:.6f}"
    return rng.choice((repr(value), place, f"{value * 1e9:.3e}", f"{value:.3%}", str(rng.getrandbits(62))))


FAMILIES: Final[dict[str, Callable[[Random], str]]] = {
    **{family: _template(templates) for family, templates in TEMPLATES.items()},
    "UUIDs": _uuid,
    "hashes": _digest,
    "cards with a wrong check digit": _broken_card,
    "other sixteen digits": _sixteen,
    "IBANs with a wrong check": _broken_iban,
    "SSNs nobody has": _never_an_ssn,
    "numbers": _number,
}
