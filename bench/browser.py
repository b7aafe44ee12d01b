"""How soon the charts of each page are drawn in a real Chromium, and what the web process weighs then.

    python -m bench.browser

The demo runs in a home of its own, once with the small build of plotly and once, from a copy without it, with the
complete one. A tall window, because charts are drawn when they come near the screen. "First" is with an empty cache;
"again" is the next time, "boosted" a click on another page's name. Signing in is not in it.
"""

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from bench import tree
from bench.memory import sizes
from tests import browser as chromium

# Where each page is, and the word it is called by in the menu.
PAGES: Final = {
    "Overview": "/",
    "Limits": "/limits/",
    "Compare": "/compare/",
    "Usage": "/usage/",
    "Errors": "/errors/",
    "Quality": "/quality/",
    "System": "/system/",
}
ROUNDS: Final = 9
HISTORY_SECONDS: Final = 600

# Milliseconds from `since` until every chart has its drawing, looked at in every frame.
READY: Final = """since => new Promise(done => {
  const look = () => {
    const charts = [...document.querySelectorAll('.chart')];
    const ready = document.readyState !== 'loading' && charts.every(chart => chart.querySelector('svg.main-svg'));
    ready ? done(performance.now() - since) : requestAnimationFrame(look);
  };
  look();
})"""
# The same from a click on a link of the menu; the page has changed when its heading has.
BOOSTED: Final = """href => new Promise(done => {
  const heading = document.querySelector('h1'), since = performance.now();
  [...document.querySelectorAll('nav a')].find(link => link.pathname === href).click();
  const look = () => {
    const charts = [...document.querySelectorAll('.chart')];
    const ready = !heading.isConnected && charts.every(chart => chart.querySelector('svg.main-svg'));
    ready ? done(performance.now() - since) : requestAnimationFrame(look);
  };
  look();
})"""


class Measured(NamedTuple):
    """Medians in milliseconds of one page."""

    charts: int
    first: float
    again: float
    boosted: float


def main() -> None:
    small, weight = measure(tree.ROOT)
    with copy_without_small_build() as copy:
        complete, _ = measure(copy)
    print(f"{ROUNDS} times each, four weeks of the demo, a window of 1,440 by 4,000; medians in ms.\n")
    print("| page | charts | small build: first | again | boosted | complete build: first | again | boosted |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for page, of_small in small.items():
        numbers = [*of_small[1:], *complete[page][1:]]
        print(f"| {page} | {of_small.charts} | {' | '.join(f'{number:.0f}' for number in numbers)} |")
    print(f"\nThe web process afterwards: {weight:.0f} MiB (PSS).")
    print("Limits for six charts: 800 ms with the small build, 1,600 with the complete one, 300 after a boosted click.")


def measure(root: Path) -> tuple[dict[str, Measured], float]:
    """Times by page, and MiB of the web process after all of them."""
    with tree.home() as home, tree.product(home, "/login/", "--demo", root=root) as product:
        deadline = time.monotonic() + HISTORY_SECONDS
        while not (home / "demo-history").exists():
            assert time.monotonic() < deadline, "the demo's history did not come"
            time.sleep(1)
        password = (home / "demo-login").read_text().strip()
        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=chromium.executable(), args=list(chromium.ARGUMENTS))
            base = f"http://127.0.0.1:{product.port}"
            found = {name: measure_page(started, base, password, where) for name, where in PAGES.items()}
            started.close()
        return found, sizes(product)["web"][1]


def measure_page(browser: Browser, base: str, password: str, where: str) -> Measured:
    first, again, boosted, charts = [], [], [], 0
    for _ in range(ROUNDS):
        page = browser.new_context(viewport={"width": 1440, "height": 4000}).new_page()
        sign_in(page, base, password)
        first.append(timed(page, base + where))
        again.append(timed(page, base + where))
        charts = page.locator(".chart").count()
        # From a page that has the library, as everybody who clicks comes from one.
        timed(page, base + ("/usage/" if where == "/" else "/"))
        boosted.append(page.evaluate(BOOSTED, where))
        page.context.close()
    return Measured(charts, *(statistics.median(times) for times in (first, again, boosted)))


def sign_in(page: Page, base: str, password: str) -> None:
    page.goto(f"{base}/login/?next=/alerts/")  # A page without charts, so that their library is not there yet.
    page.get_by_label("User name").fill("demo")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{base}/alerts/")


def timed(page: Page, address: str) -> float:
    page.goto(address, wait_until="commit")
    milliseconds: float = page.evaluate(READY, 0)
    return milliseconds


@contextmanager
def copy_without_small_build() -> Iterator[Path]:
    """What is committed, in a folder of its own: without npm's packages the build out of the wheel is served."""
    place = Path(tempfile.mkdtemp(prefix="vitals-bench-copy-"))
    place.chmod(0o755)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=tree.ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree.ROOT / name, place / name)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
