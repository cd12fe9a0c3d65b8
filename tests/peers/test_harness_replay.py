"""The harness held against recorded words of a real server: what QEMU's small guest lacks, an agent and cursors."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from . import clients
from .clients import UTF8_TEXT, GtkClient, environment, requires, warnings_in
from .dissector import dissect
from .recorder import SERVER, Piece, read_capture
from .replay import replaying

CAPTURES = Path(__file__).parent.parent / "data" / "captures" / "0.15.1"
AGENT = CAPTURES / "xspice__spice-gtk-0.42__agent-clipboard-file"
CURSORS = CAPTURES / "xspice__spice-gtk-0.42__cursors"
VIEWER = CAPTURES / "qemu__remote-viewer-11"

#: The recorded server answers to transfers of files that this client has not begun.
WARNINGS_OF_THE_RECORDING = (r"GSpice-CRITICAL: .*: assertion 'xfer_(op|task) != NULL' failed",)

StartClient = Callable[..., Awaitable[GtkClient]]


async def test_agent_and_clipboard(gtk_client: StartClient) -> None:
    async with replaying(read_capture(AGENT)) as port:
        client = await gtk_client(port=port)
        client.expected_warnings += WARNINGS_OF_THE_RECORDING
        await client.event("main-agent-update", connected=True)
        await client.event("main-clipboard-selection-request", selection=0, format=UTF8_TEXT)
        text = await client.event("main-clipboard-selection", selection=0, format=UTF8_TEXT)
        await client.command("clipboard_grab", types=[UTF8_TEXT])
        await client.command("clipboard_notify", data=text["data"])
        await client.command("clipboard_release")
        await client.command("update_display", width=800, height=600, send=False)
        await client.command("send_monitor_config")
        state = await client.command("state")

    assert base64.b64decode(text["data"]) == b"hello from guest"
    assert state["agent_connected"]


async def test_cursors(gtk_client: StartClient) -> None:
    async with replaying(read_capture(CURSORS)) as port:
        client = await gtk_client(port=port, channels=["cursor"])
        cursor = await client.event("cursor-set", width=24, height=24, hot_x=11, hot_y=11)
        await client.event("cursor-hide")

    rgba = base64.b64decode(cursor["rgba"])
    assert len(rgba) == 24 * 24 * 4
    assert len(set(rgba[3::4])) > 1


async def test_dissector_reads_a_real_session_to_its_end() -> None:
    dissection = await dissect(read_capture(VIEWER))
    assert dissection.unexpected == []
    assert dissection.server_messages[1][:6] == [
        "SET_ACK",
        "INVAL_ALL_PALETTES",
        "SURFACE_CREATE",
        "DRAW_COPY",
        "MONITORS_CONFIG",
        "MARK",
    ]
    assert dissection.server_messages[1].count("DRAW_COPY") == 23


@pytest.mark.parametrize(
    ("sent", "instead", "finding"),
    [
        pytest.param(
            "3d0120000000 01000100",
            "3d0120000000 03000100",
            "Server MONITORS_CONFIG: Malformed Packet",
            id="three heads announced where there is one",
        ),
        pytest.param(
            "3d0120000000",
            "3d0116000000",
            "message type Server MONITORS_CONFIG (317) not fully dissected",
            id="size too small",
        ),
        pytest.param(
            "3a0114000000",
            "3a0110000000",
            "message type Server SURFACE_CREATE (314) not fully dissected",
            id="size of another message",
        ),
    ],
)
async def test_dissector_finds_what_is_malformed(sent: str, instead: str, finding: str) -> None:
    old, new = bytes.fromhex(sent), bytes.fromhex(instead)

    def broken(piece: Piece) -> Piece:
        side, data = piece
        return (side, data.replace(old, new, 1)) if side == SERVER else piece

    connections = [[broken(piece) for piece in pieces] for pieces in read_capture(VIEWER)]
    assert (await dissect(connections)).unexpected == [finding]


async def test_dissector_reads_a_link_result_joined_with_the_first_messages() -> None:
    connections = []
    for pieces in read_capture(VIEWER):
        joined: list[Piece] = []
        for side, data in pieces:
            if joined and joined[-1][0] == side:
                joined[-1] = side, joined[-1][1] + data
            else:
                joined.append((side, data))
        connections.append(joined)
    dissection = await dissect(connections)
    assert dissection.unexpected == []
    assert dissection.server_messages[1].count("DRAW_COPY") == 23


def test_warnings_are_told_from_other_lines() -> None:
    lines = [
        "",
        "(python3:123): GSpice-WARNING **: 05:54:39.421: no element: x",
        "(remote-viewer:9): GLib-GObject-CRITICAL **: 05:54:39.421: assertion failed",
        "(process:7): WARNING **: no domain and no time",
        "/usr/lib/python3/dist-packages/gi/overrides/GLib.py:497: Warning: of GLib",
        "(python3:123): GSpice-DEBUG: 05:54:39.421: not one",
        "  super(MainLoop, self).run()",
    ]
    assert warnings_in(lines) == [
        "GSpice-WARNING: no element: x",
        "GLib-GObject-CRITICAL: assertion failed",
        "WARNING: no domain and no time",
        "GLib: of GLib",
    ]


def test_a_missing_peer_is_a_skip_that_names_its_package_or_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_installed", lambda peer: False)
    monkeypatch.delenv("SPICEEMU_REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"remote-viewer is not installed \(Debian: virt-viewer\)"):
        requires("remote-viewer")
    monkeypatch.setenv("SPICEEMU_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match=r"remote-viewer is not installed \(Debian: virt-viewer\)"):
        requires("remote-viewer")


def test_the_environment_of_a_client_carries_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPICE_DEBUG", "G_MESSAGES_DEBUG", "SPICE_PROXY", "PYTHONPATH", "DISPLAY"):
        monkeypatch.setenv(name, "1")
    assert environment(DISPLAY=":7").keys().isdisjoint({"SPICE_DEBUG", "G_MESSAGES_DEBUG", "SPICE_PROXY", "PYTHONPATH"})
    assert environment(DISPLAY=":7")["DISPLAY"] == ":7"
