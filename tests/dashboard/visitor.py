"""A page in a real Chromium that notes everything that should not happen on it."""

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect


class Visitor:
    """A page that notes everything that should not happen on it."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.context, self.base = context, base
        self.wrong: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._no_stranger)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text} at {self.page.url}")

    def _no_stranger(self, request: object) -> None:
        url: str = request.url  # type: ignore[attr-defined]
        if not url.startswith((self.base, "data:", "blob:")):
            self.wrong.append(f"asked {url}")

    def open(self, address: str) -> Page:
        self.page.goto(f"{self.base}{address}")
        return self.page

    def sign_in(self) -> Page:
        self.open("/login/")
        self.page.get_by_label("User name").fill("admin")
        self.page.get_by_label("Password").fill("admin")
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.base}/")
        return self.page

    def see_charts(self, number: int) -> None:
        for place in range(number):
            chart = self.page.locator(".chart").nth(place)
            chart.scroll_into_view_if_needed()
            expect(chart.locator("svg.main-svg").first).to_be_visible(timeout=20_000)
