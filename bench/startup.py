"""Seconds from `manage.py up` to the first page: `python -m bench.startup [repeats]`.

The first start also makes the database and its tables; the later ones are what a person waits for day by day.
"""

import statistics
import sys

from bench import tree

LIMIT_SECONDS = 3.0


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tree.home() as home:
        with tree.product(home) as product:
            first = product.seconds_to_page
        later = []
        for _ in range(repeats):
            with tree.product(home) as product:
                later.append(product.seconds_to_page)
    print(f"first start, with initdb and all migrations: {first:.2f} s")
    print(f"start to first page, median of {repeats}: {statistics.median(later):.2f} s (limit {LIMIT_SECONDS:g} s)")


if __name__ == "__main__":
    main()
