"""E-mail and IP addresses, and the passwords in addresses of services."""

import ipaddress
import re
from typing import Final

from llmclient._privacy._numbers import Found

LONGEST_LOCAL: Final = 128  # characters before the @; RFC 5321 allows 64
# Letters of scripts that are written without spaces are no part of it: they are the sentence around the address.
_LETTER: Final = r"^\W_\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_LOCAL_BACKWARDS: Final = re.compile(rf"""(?:[{_LETTER}]|[_.+\-'%~!#$*^`])++|"(?:\w[^"\n]{{0,60}})?\w\"""")
DOMAIN: Final = re.compile(
    rf"@(?:(?:[{_LETTER}]|-){{1,63}}(?:\.(?:[{_LETTER}]|-){{1,63}})++|\[[0-9A-Fa-f.:]{{3,45}}\])"
)
_IMAGE: Final = re.compile(r"[0-9]x\.[a-z]+\Z")  # logo@2x.png
_VERSION_BEFORE: Final = re.compile(
    r"(?:(?<![a-z])(?:version|ver|vers|v|release|rel|build|firmware|fw|rev|revision|section|chapter|clause"
    r"|abschnitt|kapitel|chapitre|cap[ií]tulo|secci[oó]n)|§)[\s.:=#\"'(-]{0,3}\Z",
    re.IGNORECASE,
)
LOGIN: Final = r"://[^\s/:@?#]{0,64}:([^\s/@]{1,200})"
_AFTER_LOGIN: Final = re.compile(rf"{LOGIN}\Z", re.ASCII)
_REMOVED: Final = re.compile(r"\[[a-z][a-z0-9_]*\]")
_NOBODY: Final = ("0.", "127.", "255.255.255.255")
_WORD_BACKWARDS: Final = re.compile(r"[0-9A-Za-z_]+")
_NO_HEX: Final = re.compile(r"[g-zG-Z_]")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}(?![0-9A-Za-z_])")
# Global, local to a site, to a link, multicast, IPv4 in IPv6: much else with two colons is code.
_IPV6_FIRST: Final = re.compile(
    r"[23][0-9a-f]{3}:|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:|ff[0-9a-f]{2}:|64:ff9b:|::ffff:", re.IGNORECASE
)


def email(match: re.Match[str]) -> Found:
    """The address around `@domain`; what stands before the @ is read backwards."""
    text, at = match.string, match.start()
    local = _LOCAL_BACKWARDS.match(text[max(at - LONGEST_LOCAL, 0) : at][::-1])
    if local is None:
        return None
    name = local[0][::-1]
    name = name if name[0] == '"' else name.lstrip(".'*`")
    top = match[0].rpartition(".")[2]
    # A package and its version, a picture for fine screens, and the address of a repository are no mailboxes.
    if not name or not (top[-1] == "]" or (len(top) > 1 and top[:2].isalpha())):
        return None
    if _IMAGE.search(match[0]) or (name == "git" and text[match.end() : match.end() + 1] == ":"):
        return None
    if _AFTER_LOGIN.search(text[max(at - 270, 0) : at]):
        return None  # what stands before the @ is a password, and is found as one
    return at - len(name), match.start() + len(match[0].rstrip("-"))


def ipv4(match: re.Match[str]) -> Found:
    """Four numbers up to 255 that are not called a version and are the address of somebody."""
    if any(int(number) > 255 for number in match[0].split(".")) or match[0].startswith(_NOBODY):
        return None
    before = match.string[max(match.start() - 14, 0) : match.start()]
    return None if _VERSION_BEFORE.search(before) else match.span()


def ipv6(match: re.Match[str]) -> Found:
    """The address around `:x:`, its first two colons, or behind the first of them when that ends a word."""
    text, start = match.string, match.start()
    word = _WORD_BACKWARDS.match(text[max(start - 8, 0) : start][::-1])
    before = word[0] if word else ""
    if _NO_HEX.search(before):
        return _ipv6_at(text, start + 1)
    start -= len(before)
    return _ipv6_at(text, start) if start == 0 or text[start - 1] not in ":." else None


def _ipv6_at(text: str, start: int) -> Found:
    written = _IPV6.match(text, start)
    address = written[0].rstrip(".") if written else ""
    if address[-1:] == ":" and address[-2:] != "::":
        address = address[:-1]
    if not _IPV6_FIRST.match(address) and address.count(":") < 6:
        return None
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return None
    return start, start + len(address)


def password(match: re.Match[str]) -> Found:
    """The password of `service://user:password@host`, unless it is gone already."""
    return None if _REMOVED.fullmatch(match[1]) else match.span(1)
