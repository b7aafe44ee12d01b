"""Memory of every process of the product, at rest and under load: `python -m bench.memory [seconds]`.

PSS (proportional set size) is what a process adds to the machine: shared pages are divided among those who share them,
so the sum over the tree is its real size. Linux only.
"""

import sys
import threading
import time
from collections import Counter

from bench import tree

REST_SECONDS = 20
LIMIT_MIB = 430


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tree.home() as home, tree.product(home) as product:
        time.sleep(REST_SECONDS)
        idle = sizes(product)
        busy, pages = under_load(product, seconds)
    print(f"{'process':18}{'count':>6}{'idle MiB':>10}{'load MiB':>10}")
    for name in idle:
        print(f"{name:18}{idle[name][0]:6}{idle[name][1]:10.1f}{busy[name][1]:10.1f}")
    total = sum(size for _, size in idle.values())
    print(f"{'all':18}{'':6}{total:10.1f}{sum(size for _, size in busy.values()):10.1f}   limit at rest {LIMIT_MIB}")
    print(f"load: {pages / seconds:.0f} requests per second over 4 connections")


def sizes(product: tree.Product) -> dict[str, tuple[int, float]]:
    """Number of processes and PSS in MiB, by name."""
    count: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for name, process in tree.processes(product):
        count[name] += 1
        size[name] += process.memory_full_info().pss
    return {name: (count[name], size[name] / 2**20) for name in count}


def under_load(product: tree.Product, seconds: float) -> tuple[dict[str, tuple[int, float]], int]:
    """Sizes at the end of a while of four clients asking without a pause, and the number of answers."""
    end = time.monotonic() + seconds
    answers: list[bool] = []

    def ask() -> None:
        while time.monotonic() < end:
            answers.append(tree.fetched(product.port, "/admin/login/"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sizes(product), sum(answers)


if __name__ == "__main__":
    main()
