"""A product that runs as people run it, and somebody who works with it: the command line and the admin over HTTP."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx2

from bench import tree

ROOT = Path(__file__).resolve().parent.parent
TRACE = ROOT / "tests" / "data" / "azure_llm_conversation_2023.csv.gz"


def manage(product: tree.Product, *words: str, **environment: str) -> "subprocess.Popen[str]":
    """`manage.py` on the home of that product."""
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.Popen(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env={**inherited, "VITALS_HOME": str(product.home), "LOG_LEVEL": "ERROR", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> str:
    """What it said; it must have gone well."""
    output, _ = process.communicate(timeout=1_200)
    assert process.returncode == 0, output[-2_000:]
    return output


def replay(product: tree.Product, *options: str) -> "subprocess.Popen[str]":
    return manage(product, "replay", str(TRACE), "--url", f"http://127.0.0.1:{product.port}", *options)


@dataclass
class Administrator:
    """Signed in to the admin of a running product; fills in its forms as a browser would."""

    product: tree.Product
    browser: httpx2.Client

    @classmethod
    def of(cls, product: tree.Product) -> "Administrator":
        finished(
            manage(
                product,
                "createsuperuser",
                "--noinput",
                DJANGO_SUPERUSER_USERNAME="ada",
                DJANGO_SUPERUSER_EMAIL="ada@example.com",
                DJANGO_SUPERUSER_PASSWORD="a long password",
            )
        )
        browser = httpx2.Client(base_url=f"http://127.0.0.1:{product.port}", timeout=30)
        somebody = cls(product, browser)
        somebody.post("/login/", username="ada", password="a long password")
        return somebody

    def post(self, address: str, **fields: str) -> None:
        """Fill in the form at this address and send it; it must be accepted."""
        form = self.browser.get(address).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token is not None, form[:500]
        answer = self.browser.post(
            address,
            data={"csrfmiddlewaretoken": token[1], **fields},
            headers={"Referer": f"{self.browser.base_url}{address}"},
        )
        assert answer.status_code == 302, re.sub(r"<[^>]+>|\s+", " ", answer.text)[:2_000]
