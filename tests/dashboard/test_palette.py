"""The palette is a fixture: contrast of text and of series against what they lie on, in both themes."""

import re
from pathlib import Path

import pytest
from django.conf import settings

CSS = (Path(settings.BASE_DIR) / "static" / "vitals.css").read_text()
TOKENS = re.compile(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})")
LIGHT = dict(TOKENS.findall(CSS[CSS.index(":root {") : CSS.index("@media (prefers-color-scheme: dark)")]))
DARK = dict(TOKENS.findall(CSS[CSS.index(":root[data-theme=dark] {") : CSS.index("/* Ground */")]))
AUTO = dict(
    TOKENS.findall(CSS[CSS.index("@media (prefers-color-scheme: dark)") : CSS.index(":root[data-theme=dark] {")])
)
THEMES = [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")]


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_the_theme_chosen_and_the_theme_of_the_system_are_the_same() -> None:
    assert DARK == AUTO
    assert set(LIGHT) == set(DARK)


@pytest.mark.parametrize("tokens", THEMES)
@pytest.mark.parametrize("name", ["c1", "c2", "c3", "c4", "c5", "spark"])
def test_every_series_stands_out_from_its_card(tokens: dict[str, str], name: str) -> None:
    assert contrast(tokens[name], tokens["card"]) >= 3


@pytest.mark.parametrize("tokens", THEMES)
@pytest.mark.parametrize("ground", ["card", "bg", "raised"])
@pytest.mark.parametrize("name", ["ink", "text", "muted", "accent", "ok", "warn", "crit"])
def test_every_text_can_be_read(tokens: dict[str, str], ground: str, name: str) -> None:
    assert contrast(tokens[name], tokens[ground]) >= 4.5


@pytest.mark.parametrize("tokens", THEMES)
@pytest.mark.parametrize(
    ("name", "ground"),
    [("ok", "ok-soft"), ("warn", "warn-soft"), ("crit", "crit-soft"), ("muted", "plain-soft"), ("on-accent", "accent")],
)
def test_a_state_can_be_read_on_its_own_ground(tokens: dict[str, str], name: str, ground: str) -> None:
    assert contrast(tokens[name], tokens[ground]) >= 4.5
