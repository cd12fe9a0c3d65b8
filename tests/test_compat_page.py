"""``docs/compat.md`` is what its tool makes of the tables as they are now."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from spiceemu.protocol.levels.channels import CHANNELS
from spiceemu.protocol.levels.compat import FEATURES
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, messages_of


@pytest.fixture
def tool(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(checkout / "tools"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return importlib.import_module("make_compat_page")


def test_the_page_is_what_the_tables_say(tool: ModuleType) -> None:
    committed = tool.PAGE.read_text(encoding="utf-8")
    assert committed == tool.make_page(), "docs/compat.md is old: run tools/make_compat_page.py"


def test_the_page_has_every_message_and_every_feature(tool: ModuleType) -> None:
    page = tool.make_page()
    for channel in CHANNELS:
        for direction in (SERVER, CLIENT):
            for number, kind in messages_of(channel, direction).items():
                row = f"| {direction}  | {number:<3} | {kind.spec.proto_name.upper()} "
                assert row in page, f"{channel.name}: {row}"
    assert all(f"| `{feature.name}` " in page for feature in FEATURES)


def test_tables_are_whole(tool: ModuleType) -> None:
    rows = [line for line in tool.make_page().splitlines() if line.startswith("|")]
    tables = [[]]
    for line in tool.make_page().splitlines():
        if line.startswith("|"):
            tables[-1].append((len(line), line.count("|")))
        elif tables[-1]:
            tables.append([])
    assert sum(map(len, tables)) == len(rows)
    assert all(len(set(table)) <= 1 for table in tables)
