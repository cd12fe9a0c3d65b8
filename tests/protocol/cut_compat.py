"""Cuts ``tests/data/compat/releases.json`` out of the evidence: ``python cut_compat.py compat.json``.

The evidence is a study of the servers' sources and of live ones. It has, for each series, what its first and its last
release (*floor* and *tip*) offered; kept are the minor version, the words and the channels of those that are releases
here. The tunnel channel is left out: it was never built by default.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

#: Series and end of the series that a release is.
RELEASES = {
    "0.6.4": ("0.6", "tip"),
    "0.8.3": ("0.8", "tip"),
    "0.10.1": ("0.10", "tip"),
    "0.12.8": ("0.12", "tip"),
    "0.14.2": ("0.14", "tip"),
    "0.15.1": ("0.15", "tip"),
}
LEFT_OUT = "tunnel"


def cut(evidence: dict) -> dict:  # type: ignore[type-arg]
    found = {}
    for release, (series, end) in RELEASES.items():
        row = evidence["versions"][series]
        link = row["link"]
        minor = link.get("minor_tip", link["minor"]) if end == "tip" else link["minor"]
        channels = {
            name: ends[end] for name, ends in row["advertise"].items() if ends[end] is not None and name != LEFT_OUT
        }
        found[release] = {"minor": minor, "channels": channels}
    return found


if __name__ == "__main__":
    evidence = json.loads(Path(sys.argv[1]).read_text())
    target = Path(__file__).parents[1] / "data" / "compat" / "releases.json"
    rows = [f'"{release}": {json.dumps(row)}' for release, row in cut(evidence).items()]
    target.write_text("{\n" + ",\n".join(rows) + "\n}\n")
