"""User ids that tell one user from another and nobody who it is. Off unless a secret is configured."""

import hmac
from typing import Final

PREFIX: Final = "u_"
LENGTH: Final = 32  # hexadecimal digits behind the prefix: 128 bits
SHORTEST_SECRET: Final = 16  # characters


class Pseudonyms:
    """`u_` and the first 32 hexadecimal digits of HMAC-SHA256 of a user id: always the same for the same secret.

    Whoever has the secret can find out whose a pseudonym is by trying all user ids, nobody else can. With another
    secret every user is a new one. ValueError for a secret of less than 16 characters.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: str | bytes) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(f"user_secret: at least {SHORTEST_SECRET} characters, or user ids can be guessed")
        self._secret = secret.encode() if isinstance(secret, str) else secret

    def of(self, user_id: str) -> str:
        """The pseudonym of a user."""
        digest = hmac.digest(self._secret, user_id.encode("utf-8", "surrogatepass"), "sha256").hex()
        return f"{PREFIX}{digest[:LENGTH]}"
