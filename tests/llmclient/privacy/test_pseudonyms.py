"""User ids without users."""

import pytest

from llmclient._privacy._pseudonyms import Pseudonyms

SECRET = "0123456789abcdef"


def test_a_pseudonym_is_the_hmac_of_the_id_with_a_prefix() -> None:
    # printf 4711 | openssl dgst -sha256 -hmac 0123456789abcdef
    assert Pseudonyms(SECRET).of("4711") == "u_d6f9c71fc9711c566dabe39ff39faefa"


def test_it_is_the_same_for_the_same_secret_and_another_one_for_another() -> None:
    assert Pseudonyms(SECRET).of("anna") == Pseudonyms(SECRET.encode()).of("anna")
    assert Pseudonyms(SECRET).of("anna") != Pseudonyms(SECRET[::-1]).of("anna")
    assert Pseudonyms(SECRET).of("anna") != Pseudonyms(SECRET).of("bob")


@pytest.mark.parametrize("user", ["", "\ud800", "x" * 10_000, "anna@example.org"])
def test_every_id_has_one_of_34_characters(user: str) -> None:
    assert len(Pseudonyms(SECRET).of(user)) == 34


@pytest.mark.parametrize("secret", ["", "short", b"short"])
def test_a_secret_that_can_be_guessed_is_refused_and_not_repeated(secret: str | bytes) -> None:
    with pytest.raises(ValueError, match="at least 16 characters") as raised:
        Pseudonyms(secret)
    assert "short" not in str(raised.value)
