"""The harness itself, held against a real server: what these tests see of QEMU, other tests may expect of us."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from .certificates import Certificates
from .clients import WARNINGS_OF_DISTRUST, CommandFailed, GtkClient, spicy_screenshot
from .conftest import PASSWORD
from .dissector import dissect
from .qemu import Qemu
from .recorder import CLIENT, SERVER, recording
from .screen import RemoteViewer, Screen, write_vv

StartClient = Callable[..., Awaitable[GtkClient]]
StartViewer = Callable[..., Awaitable[RemoteViewer]]

CLIENT_MOUSE, SERVER_MOUSE = 2, 1
CAPS_LOCK, CAPS_LOCK_KEY = 4, 0x3A
HELLO = (0x23, 0x12, 0x26, 0x26, 0x18)
NO_CONNECTION, TLS_FAILED, LINK_FAILED, PASSWORD_REFUSED = 20, 21, 22, 23
KEY_DOWN, KEY_UP = 101, 102
RELEASED = 0x80


def key_message(kind: int, scancode: int) -> bytes:
    return struct.pack("<HII", kind, 4, scancode)


# --- scripted spice-gtk -----------------------------------------------------------------------------------------------


async def test_scripted_client_sees_a_session_from_its_start_to_its_end(qemu: Qemu, gtk_client: StartClient) -> None:
    client = await gtk_client(port=qemu.port)
    created = await client.event("display-primary-create", channel=0)
    await client.event("display-mark", mark=1)
    head = {"id": 0, "surface_id": 0, "x": 0, "y": 0, "width": 720, "height": 400}
    await client.event("monitors", heads=[head], maximum=1)
    await client.event("opened", type="inputs")
    await client.event("opened", type="cursor")
    await client.event("cursor-hide")
    state = await client.command("state")
    await client.command("disconnect")
    await client.event("disconnected")

    assert (created["width"], created["height"], created["format"]) == (720, 400, 32)
    assert state["channels"] == [["cursor", 0], ["display", 0], ["inputs", 0], ["main", 0]]
    assert state["name"].startswith("QEMU")
    assert state["uuid"] == "00" * 16
    assert state["mouse_mode"] == SERVER_MOUSE
    assert not state["agent_connected"]
    closed = [event["type"] for event in client.events if event["event"] == "closed"]
    assert sorted(closed) == ["cursor", "display", "inputs", "main"]


async def test_two_clients_and_the_server_agree_on_every_pixel(qemu: Qemu, gtk_client: StartClient) -> None:
    client = await gtk_client(port=qemu.port)
    await client.ready()
    pixels = await client.shows(qemu.picture())
    await client.command("disconnect")
    await client.event("disconnected")
    screenshot = await spicy_screenshot(port=qemu.port)

    assert screenshot.exit_code == 0
    assert screenshot.picture == pixels
    # Red, green and blue alone are all there: a swap of two could not go unseen.
    assert {0xA80000, 0x00A800, 0x0000A8} <= {pixels.pixel(x, y) for x in range(720) for y in range(400)}


async def test_keys_reach_the_guest_and_their_echo_the_client(qemu: Qemu, gtk_client: StartClient) -> None:
    client = await gtk_client(port=qemu.port)
    await client.ready()
    before = await client.shows(qemu.picture())
    await client.type(*HELLO)
    await qemu.has_typed(b"hello")

    after = await client.shows(lambda picture: picture != before)
    assert (after.width, after.height) == (before.width, before.height)


async def test_caps_lock_comes_back_as_modifier(qemu: Qemu, gtk_client: StartClient) -> None:
    client = await gtk_client(port=qemu.port)
    await client.event("inputs-modifiers", modifiers=0)
    await client.type(CAPS_LOCK_KEY)
    await client.event("inputs-modifiers", modifiers=CAPS_LOCK)
    await client.type(CAPS_LOCK_KEY)
    await client.event("inputs-modifiers", modifiers=0)


async def test_mouse_mode_is_granted(qemu: Qemu, gtk_client: StartClient) -> None:
    client = await gtk_client(port=qemu.port)
    await client.event("main-mouse-update", mode=SERVER_MOUSE)
    await client.event("opened", type="inputs")
    qemu.use_absolute_pointer()
    await client.command("request_mouse_mode", mode=CLIENT_MOUSE)
    await client.event("main-mouse-update", mode=CLIENT_MOUSE)
    await client.command("position", x=10, y=20)
    await client.command("button_press", button=1)
    await client.command("button_release", button=1)
    qemu.use_absolute_pointer(False)
    await client.event("main-mouse-update", mode=SERVER_MOUSE)
    await client.command("motion", dx=1, dy=2)


async def test_a_command_that_cannot_be_sent_fails(qemu: Qemu, gtk_client: StartClient) -> None:
    client = await gtk_client(port=qemu.port, channels=["display"])
    await client.event("display-mark")
    with pytest.raises(CommandFailed, match="inputs channel 0 is not open"):
        await client.command("key_down", scancode=HELLO[0])
    with pytest.raises(CommandFailed, match="the agent is not connected"):
        await client.command("send_monitor_config")


async def test_a_dead_client_is_noticed_at_once(gtk_client: StartClient) -> None:
    client = await gtk_client()
    await client.command("quit")
    with pytest.raises(AssertionError, match="ended"):
        await client.ready()
    with pytest.raises(AssertionError, match="ended"):
        await client.command("state")


async def test_a_missing_event_is_named_with_what_came_instead(qemu: Qemu, gtk_client: StartClient) -> None:
    client = await gtk_client(port=qemu.port)
    await client.ready()
    with pytest.raises(AssertionError, match=r"no event .*'cursor-set'(.|\n)*display-primary-create"):
        await client.event("cursor-set", timeout=0.01)


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_wrong_password(secured_qemu: Qemu, gtk_client: StartClient, password: str | None) -> None:
    screenshot = await spicy_screenshot(port=secured_qemu.port, password=password)
    assert (screenshot.exit_code, screenshot.picture, screenshot.channel_event) == (1, None, PASSWORD_REFUSED)

    client = await gtk_client(port=secured_qemu.port, **({"password": password} if password else {}))
    await client.event("error", type="main", code=PASSWORD_REFUSED)


async def test_right_password(secured_qemu: Qemu, gtk_client: StartClient) -> None:
    assert (await spicy_screenshot(port=secured_qemu.port, password=PASSWORD)).exit_code == 0
    client = await gtk_client(port=secured_qemu.port, password=PASSWORD)
    await client.ready()


async def test_tls(secured_qemu: Qemu, gtk_client: StartClient, certificates: Certificates) -> None:
    secured = {"tls_port": secured_qemu.tls_port, "password": PASSWORD, "ca_file": certificates.authority}
    assert (await spicy_screenshot(**secured)).exit_code == 0  # type: ignore[arg-type]
    client = await gtk_client(**secured)
    await client.ready()


async def test_tls_of_an_unknown_authority(secured_qemu: Qemu, gtk_client: StartClient) -> None:
    assert (await spicy_screenshot(tls_port=secured_qemu.tls_port, password=PASSWORD)).channel_event == TLS_FAILED
    client = await gtk_client(tls_port=secured_qemu.tls_port, password=PASSWORD)
    client.expected_warnings += WARNINGS_OF_DISTRUST
    await client.event("error", type="main", code=TLS_FAILED)


async def test_nobody_listens() -> None:
    assert (await spicy_screenshot(port=1)).channel_event == NO_CONNECTION


async def test_somebody_else_listens(secured_qemu: Qemu) -> None:
    assert (await spicy_screenshot(port=secured_qemu.tls_port)).channel_event == LINK_FAILED


# --- what passes ------------------------------------------------------------------------------------------------------


async def test_recorded_session_is_what_the_dissector_expects(qemu: Qemu, gtk_client: StartClient) -> None:
    async with recording(qemu.port or 0) as recorder:
        client = await gtk_client(port=recorder.port)
        await client.ready()
        await client.type(*HELLO)
        await qemu.has_typed(b"hello")
        await client.command("disconnect")
        await client.event("disconnected")
        dissection = await dissect(recorder.connections)

    assert dissection.unexpected == []
    names = {name for connection in dissection.server_messages for name in connection}
    assert {"INIT", "CHANNELS_LIST", "SURFACE_CREATE", "DRAW_COPY", "MARK", "MONITORS_CONFIG"} <= names
    # The keys are on the wire in the order they were pressed; other messages may stand between them.
    (inputs,) = [index for index in range(4) if key_message(KEY_DOWN, HELLO[0]) in recorder.sent_by(CLIENT, index)]
    rest = recorder.sent_by(CLIENT, inputs)
    for key in HELLO:
        for message in (key_message(KEY_DOWN, key), key_message(KEY_UP, key | RELEASED)):
            before, found, rest = rest.partition(message)
            assert found, f"{message.hex()} is not after the keys before it, only {before.hex()}"
    assert all(recorder.sent_by(side, index).startswith(b"REDQ") for side in (CLIENT, SERVER) for index in range(4))


# --- remote-viewer ----------------------------------------------------------------------------------------------------


async def test_remote_viewer_shows_the_guest_and_types_into_it(
    qemu: Qemu, xvfb: Screen, remote_viewer: StartViewer
) -> None:
    viewer = await remote_viewer(f"spice://127.0.0.1:{qemu.port}")
    picture = qemu.picture()
    x, y = await viewer.shows(picture)
    assert xvfb.picture(x, y, picture.width, picture.height) == picture

    await viewer.focus()
    await viewer.type("Hello, 2")
    await qemu.has_typed(b"Hello, 2")
    await viewer.shows(qemu.picture())
    assert viewer.warnings == []


async def test_remote_viewer_asks_for_a_password_until_it_is_right(
    secured_qemu: Qemu, remote_viewer: StartViewer
) -> None:
    viewer = await remote_viewer(f"spice://127.0.0.1:{secured_qemu.port}")
    await viewer.answer_password("wrong")
    await viewer.dismiss_error()
    await viewer.answer_password(PASSWORD)
    await viewer.shows(secured_qemu.picture())


async def test_remote_viewer_by_tls_and_file(
    secured_qemu: Qemu, remote_viewer: StartViewer, certificates: Certificates, tmp_path: Path
) -> None:
    target = write_vv(
        tmp_path / "qemu.vv", tls_port=secured_qemu.tls_port or 0, password=PASSWORD, authority=certificates.authority
    )
    viewer = await remote_viewer(target)
    await viewer.shows(secured_qemu.picture())


async def test_remote_viewer_by_tls_and_uri(
    secured_qemu: Qemu, remote_viewer: StartViewer, certificates: Certificates
) -> None:
    uri = f"spice://127.0.0.1?tls-port={secured_qemu.tls_port}"
    viewer = await remote_viewer(uri, f"--spice-ca-file={certificates.authority}")
    await viewer.answer_password(PASSWORD)
    await viewer.shows(secured_qemu.picture())


async def test_remote_viewer_window_takes_a_size(qemu: Qemu, remote_viewer: StartViewer) -> None:
    viewer = await remote_viewer(f"spice://127.0.0.1:{qemu.port}")
    await viewer.shows(qemu.picture())
    await viewer.resize(1000, 700)
    window = await viewer.window("QEMU")
    assert (window.width, window.height) == (1000, 700)
    picture = await viewer.picture()
    assert (picture.width, picture.height) == (1000, 700)


async def test_remote_viewer_that_finds_nobody_says_so(remote_viewer: StartViewer) -> None:
    viewer = await remote_viewer("spice://127.0.0.1:1")
    await viewer.dismiss_error()
    assert await viewer.wait() == 0


async def test_clipboard_of_the_screen(xvfb: Screen) -> None:
    assert await xvfb.text() is None
    await xvfb.copy_text("one")
    assert await xvfb.text() == "one"
    await xvfb.copy_text("zwei, trés, čtyři")
    assert await xvfb.text() == "zwei, trés, čtyři"
