"""Browser libraries out of packages: found, collected, and with the rules their bundles would inject."""

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from pytest_django.fixtures import Settings

from dashboard import assets

SMALL = Path(settings.BASE_DIR) / "node_modules" / "plotly.js-basic-dist-min" / "plotly-basic.min.js"


@pytest.fixture
def without_npm(settings: Settings, tmp_path: Path) -> None:
    settings.BASE_DIR = tmp_path


def test_the_lock_names_one_package_and_no_address() -> None:
    text = (Path(settings.BASE_DIR) / "package-lock.json").read_text()
    assert "resolved" not in text
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert [name for name in packages if name] == ["node_modules/plotly.js-basic-dist-min"]
    assert packages["node_modules/plotly.js-basic-dist-min"]["integrity"].startswith("sha512-")


def test_without_npm_the_bundle_of_the_wheel_is_served(without_npm: None) -> None:
    assert assets.plotly_bundle().name == "plotly.min.js"
    assert re.fullmatch(r"[0-9a-f]{64}", assets.map_style_id(assets.plotly_bundle()))


def test_the_small_bundle_is_preferred_when_it_is_installed(settings: Settings, tmp_path: Path) -> None:
    settings.BASE_DIR = tmp_path
    made = tmp_path / "node_modules" / "plotly.js-basic-dist-min" / "plotly-basic.min.js"
    made.parent.mkdir(parents=True)
    made.write_text(
        'var a={"X,X div":"margin:0;","X .main-svg":"top:0;",Y:\'font-family:"Open Sans";\',"Y p":"margin:0;"};'
    )
    assert assets.plotly_bundle() == made
    assert assets.map_style_id(made) == ""
    assert assets.rules(made).splitlines() == [
        ".js-plotly-plot .plotly,.js-plotly-plot .plotly div{margin:0;}",
        ".js-plotly-plot .plotly .main-svg{top:0;}",
        '.plotly-notifier{font-family:"Open Sans";}',
        ".plotly-notifier p{margin:0;}",
    ]


def test_the_stylesheet_holds_every_rule_of_the_bundle(without_npm: None) -> None:
    bundle = assets.plotly_bundle().read_text()
    rules = assets.rules(assets.plotly_bundle())
    literal = re.search(r'=\{("X,X div":.*?)\};', bundle)
    assert literal is not None
    assert len(rules.splitlines()) == len(re.findall(r'"[XY][^"]*":|\bY:', literal.group(1)))
    assert ".js-plotly-plot .plotly .main-svg{position:absolute;" in rules


def test_a_bundle_that_keeps_its_rules_otherwise_is_told_and_not_served_half(tmp_path: Path) -> None:
    strange = tmp_path / "plotly.min.js"
    strange.write_text("nothing we know")
    with pytest.raises(ValueError, match="in a way this version does not know"):
        assets.rules(strange)


@pytest.mark.parametrize("name", [assets.PLOTLY, assets.PLOTLY_RULES, assets.HTMX])
def test_each_library_is_found_by_its_address(name: str) -> None:
    found = finders.find(name)
    assert isinstance(found, str)
    assert Path(found).is_file()


def test_nothing_else_is_found_there() -> None:
    assert finders.find("libraries/../settings.py") is None


def test_the_libraries_are_collected_with_everything_else(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path / "built"
    call_command("collectstatic", interactive=False, verbosity=0)
    for name in (assets.PLOTLY, assets.PLOTLY_RULES, assets.HTMX, "vitals.css", "charts.js", "admin/css/base.css"):
        assert (tmp_path / "built" / name).is_file()
