"""Pictures of the running product for the documentation: `python -m tests.screenshots URL USER PASSWORD`.

Writes docs/images/<page>-<theme>-<width>.png. The product must be running with something in it (`make demo`).
"""

import argparse
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from tests import browser as chromium

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
Theme = Literal["light", "dark"]
PAGES = {
    "overview": "/",
    "week": "/?from=now-7d",
    "limits": "/limits/",
    "compare": "/compare/",
    "usage": "/usage/",
    "errors": "/errors/",
    "quality": "/quality/",
    "system": "/system/",
    "logs": "/logs/",
    "alerts": "/alerts/",
    "settings": "/admin/",
}
LOOKS: tuple[tuple[Theme, int], ...] = (("light", 1440), ("dark", 1440), ("light", 320))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", help="Where the product runs, for example http://127.0.0.1:8000")
    parser.add_argument("user")
    parser.add_argument("password")
    asked = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.executable(), args=list(chromium.ARGUMENTS))
        for theme, width in LOOKS:
            take(browser, asked.url.rstrip("/"), asked.user, asked.password, theme, width)
        browser.close()


def take(browser: Browser, url: str, user: str, password: str, theme: Theme, width: int) -> None:
    """Sign in with this look and take every page, and the newest call and alert when there are any."""
    height = 900 if width > 600 else 640
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{url}/login/")
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state("networkidle")
    for name, address in PAGES.items():
        page.goto(f"{url}{address}")
        shoot(page, f"{name}-{theme}-{width}", whole=name != "logs")
        first = page.locator(".stackable tbody a").first
        if name in ("logs", "alerts") and first.count() > 0:
            first.click()
            page.wait_for_load_state("networkidle")
            shoot(page, f"{name.removesuffix('s')}-{theme}-{width}", whole=True)
    context.close()


def shoot(page: Page, name: str, *, whole: bool) -> None:
    """Wait until every chart is drawn, then take the picture."""
    page.wait_for_load_state("networkidle")
    for chart in page.locator(".chart").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg.main-svg").first.wait_for()
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=IMAGES / f"{name}.png", full_page=whole)


if __name__ == "__main__":
    main()
