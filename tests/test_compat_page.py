"""``docs/compat.md`` is what its tool makes of the tables as they are now."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from spiceemu.channels.inputs import InputsChannel
from spiceemu.protocol.levels.channels import CHANNELS
from spiceemu.protocol.levels.compat import FEATURES
from spiceemu.protocol.messages import display, draw
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


# What is served


def part(page: str, begin: str, end: str) -> str:
    return page.partition(begin)[2].partition(end)[0]


def test_what_is_served_stands_apart_from_what_servers_had(tool: ModuleType) -> None:
    page = tool.make_page()
    served, had = part(page, "## What spiceemu serves", "## What servers had"), page.partition("## What servers had")[2]
    for channel in ("main", "display", "playback"):
        assert f"\n| {channel} " in served
        assert f"| {channel} channel " in had
    assert "\nNot served at any level: smartcard, usbredir, port, webdav." in served
    assert "| smartcard channel " in had
    assert ["| FROM_CACHE " in served, "| SURFACE " in served, "| GLZ_RGB " in served] == [True, True, False]
    assert "image type GLZ_RGB" in had


def test_messages_are_served_if_something_makes_them(tool: ModuleType) -> None:
    sent = part(tool.make_page(), "**display** sends ", "- **").replace("\n  ", " ").strip().split(", ")
    assert {"DRAW_FILL", "DRAW_COPY", "SURFACE_CREATE (0.6)", "MARK"} <= set(sent)
    assert not [name for name in sent if "STREAM" in name]
    taken = part(tool.make_page(), "**inputs** takes ", "- **").replace("\n  ", " ").strip().split(", ")
    names = {kind.spec.proto_name.upper() for kind in InputsChannel.handlers}
    assert {name.partition(" ")[0] for name in taken} == names


def test_a_message_is_made_where_its_class_is_called(tool: ModuleType) -> None:
    source = """
from spiceemu.protocol.messages import draw, main
from spiceemu.protocol.messages.display import Mark as Done, Reset

def f(kind: type[main.Name]) -> None:
    g(main.Init, Done(), draw.DrawFill(base, draw.Fill(brush)))
"""
    assert tool.served.made_in(ast.parse(source)) == {display.Mark, draw.DrawFill}
