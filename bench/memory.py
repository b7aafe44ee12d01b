"""Memory of every process of the product, at rest and under load: `python -m bench.memory`.

PSS (proportional set size) is what a process adds to the machine: shared pages are divided among those who share them,
so the sum over the tree is its real size. Linux only.
"""

import gzip
import http.client
import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

from bench import tree
from bench.ingest import BATCH, CONNECTIONS, batches

REST_SECONDS: Final = 20
LIMIT_MIB: Final = 430
BATCHES: Final = 120


def main() -> None:
    with tree.home() as home, tree.product(home) as product:
        time.sleep(REST_SECONDS)
        idle = sizes(product)
        began = time.monotonic()
        post(product, make_key(product))
        seconds = time.monotonic() - began
        busy = sizes(product)
    print(f"{'process':18}{'count':>6}{'idle MiB':>10}{'load MiB':>10}")
    for name in idle:
        print(f"{name:18}{idle[name][0]:6}{idle[name][1]:10.1f}{busy[name][1]:10.1f}")
    total = sum(size for _, size in idle.values())
    print(f"{'all':18}{'':6}{total:10.1f}{sum(size for _, size in busy.values()):10.1f}   limit at rest {LIMIT_MIB}")
    print(
        f"load: {BATCHES * BATCH:,} calls posted in {seconds:.0f} s, {BATCH} at a time over {CONNECTIONS} connections"
    )


def sizes(product: tree.Product) -> dict[str, tuple[int, float]]:
    """Number of processes and PSS in MiB, by name."""
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for name, process in tree.processes(product):
        count[name] += 1
        size[name] += process.memory_full_info().pss
    return {name: (count[name], size[name] / 2**20) for name in count}


def make_key(product: tree.Product) -> str:
    """An ingest key of the running product."""
    environment = {**os.environ, "VITALS_HOME": str(product.home)}
    environment.pop("DATABASE_URL", None)
    answers = ""
    for words in (["create_project", "Bench", "--slug", "bench"], ["create_key", "bench"]):
        command = [sys.executable, str(tree.ROOT / "manage.py"), *words]
        answers += subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return str(re.findall(r"llv_ing_\S+", answers)[-1])


def post(product: tree.Product, token: str) -> None:
    """Every batch once, over a few connections that are kept open."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Content-Encoding": "gzip"}
    packed = [gzip.compress(body, 1) for body in batches(BATCHES, seed=7)]

    def send(share: list[bytes]) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", product.port, timeout=60)) as connection:
            for body in share:
                connection.request("POST", "/api/v1/events", body, headers)
                response = connection.getresponse()
                text = response.read()
                assert response.status == 200, text[:500]

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(send, [packed[place::CONNECTIONS] for place in range(CONNECTIONS)]))


if __name__ == "__main__":
    main()
