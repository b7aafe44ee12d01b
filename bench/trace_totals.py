"""What a replayed trace must add up to, worked out from the file alone: shares no code with the product.

    python bench/trace_totals.py FILE.csv.gz [--input 2.00 --output 10.00] [--limit N]

Prices are dollars per million tokens; the defaults are those of claude-sonnet-5-5, the model of a replay that names
none. Costs are summed call by call in whole nano-dollars (1 $/MTok is 1,000 nano-dollars per token).
"""

import argparse
import gzip
from decimal import Decimal
from pathlib import Path


def totals(text: str, dollars_in: Decimal, dollars_out: Decimal, limit: int | None = None) -> dict[str, int]:
    """Requests, tokens and nano-dollars of a trace with the columns TIMESTAMP, ContextTokens, GeneratedTokens."""
    nano_in, nano_out = dollars_in * 1000, dollars_out * 1000
    if nano_in % 1 or nano_out % 1:
        raise SystemExit("a price with a fraction of a nano-dollar per token needs rounding this script does not do")
    header, *rows = text.replace("\r\n", "\n").strip("\n").split("\n")
    if header != "TIMESTAMP,ContextTokens,GeneratedTokens":
        raise SystemExit(f"unexpected header: {header}")
    found = {"requests": 0, "input_tokens": 0, "output_tokens": 0, "cost_nanousd": 0}
    for row in rows[:limit]:
        _, tokens_in, tokens_out = row.split(",")
        found["requests"] += 1
        found["input_tokens"] += int(tokens_in)
        found["output_tokens"] += int(tokens_out)
        found["cost_nanousd"] += int(tokens_in) * int(nano_in) + int(tokens_out) * int(nano_out)
    return found


def text_of(file: Path) -> str:
    """The text of a trace, plain or gzipped."""
    raw = file.read_bytes()
    return (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description="The totals a replayed trace must have.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--input", type=Decimal, default=Decimal(2), help="dollars per million input tokens")
    parser.add_argument("--output", type=Decimal, default=Decimal(10), help="dollars per million output tokens")
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    for name, value in totals(text_of(given.file), given.input, given.output, given.limit).items():
        print(f"{name}\t{value}")


if __name__ == "__main__":
    main()
