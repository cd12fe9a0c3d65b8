"""Run all benchmarks, or those named: startup, server, protocol, codecs."""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.report import print_header, print_rows

PARTS = ("startup", "server", "protocol", "codecs")


def main(names: list[str]) -> int:
    unknown = set(names) - set(PARTS)
    if unknown:
        sys.stderr.write(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}\n")
        return 2
    print_header()
    missed = 0
    for name in names or PARTS:
        rows = import_module(f"benchmarks.bench_{name}").rows()
        print_rows(rows)
        missed += sum(row.met is False for row in rows)
    if missed:
        sys.stdout.write(f"{missed} goals missed: on a busy machine, try again\n")
    return 0


sys.exit(main(sys.argv[1:]))
