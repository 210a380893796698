#!/usr/bin/python3
"""Reads the output of TestListScale and prints how long its questions took."""

import re
import sys

UNITS = {"µs": 0.001, "ms": 1.0, "s": 1000.0}
rows = []
for line in sys.stdin:
    m = re.search(r"go:\d+: (.+?)\s+\d+ pages, ([\d.]+)(µs|ms|s)$", line.rstrip())
    if m:
        rows.append((float(m[2]) * UNITS[m[3]], re.sub(r"\s+", " ", m[1])))
if not rows:
    sys.exit("no question was answered")
rows.sort()
at = lambda share: rows[min(len(rows) - 1, int(len(rows) * share))][0]
print(f"{len(rows)} questions: half within {at(0.5):.1f}, nine of ten within {at(0.9):.1f}, {sum(t > 50 for t, _ in rows)} above 50.")
print()
print("| question | ms |")
print("|---|---|")
for t, name in reversed(rows[-6:]):
    print(f"| {name} | {t:.1f} |")
