"""A real client is moved between all levels: by the scheme that both have, or refused with the reason."""

from __future__ import annotations

import pytest

from spiceemu import KeyDown
from spiceemu.errors import NotCompatible
from spiceemu.guest.display import Head

from .emulator import StartClient, StartViewer, draw_everything, picture_of, whole
from .moves import (
    SEAMLESS,
    SEMI,
    SIZE,
    SWITCH_HOST,
    WARNINGS_OF_A_SWITCH,
    check_life,
    check_shown,
    come,
    moved,
    two_servers,
)

#: How a client gets from the level at the left to the level at the top: host, semi, or full (seamless). Written by hand
#: from what the releases could do: switch-host since 0.7, semi-seamless since 0.8.3 and 0.10, seamless since 0.12.
TABLE = """
        0.4   0.6   0.6.4  0.8   0.8.3  0.10  0.12  0.14  0.15  0.15.1
0.4     host  host  host   host  host   host  host  host  host  host
0.6     host  host  host   host  host   host  host  host  host  host
0.6.4   -     -     -      -     -      -     -     -     -     -
0.8     host  host  host   host  host   host  host  host  host  host
0.8.3   host  host  host   host  semi   semi  semi  semi  semi  semi
0.10    host  host  host   host  semi   semi  semi  semi  semi  semi
0.12    host  host  host   host  semi   semi  full  full  full  full
0.14    host  host  host   host  semi   semi  full  full  full  full
0.15    host  host  host   host  semi   semi  full  full  full  full
0.15.1  host  host  host   host  semi   semi  full  full  full  full
"""

SCHEMES = {"host": SWITCH_HOST, "semi": SEMI, "full": SEAMLESS}

#: What of the levels above cannot show this; for a second display channel that is the end.
WITHOUT_SURFACES = ("0.4",)
ONE_HEAD = ("0.4", "0.6", "0.6.4", "0.8.3")
ONE_DISPLAY_CHANNEL = ("0.4", "0.6")

NO_MIGRATION = "0.6.4"


def cells() -> list[tuple[str, str, str]]:
    """Source, target and how, of the whole table."""
    head, *rows = [line.split() for line in TABLE.strip().splitlines()]
    return [(source, target, how) for source, *row in rows for target, how in zip(head, row, strict=True)]


CELLS = cells()
MOVES = [(source, target) for source, target, how in CELLS if how != "-"]


def without(lacking: tuple[str, ...]) -> list[tuple[str, str]]:
    """The moves from a level that has something to one that lacks it."""
    return [(source, target) for source, target in MOVES if target in lacking and source not in lacking]


def test_the_table_is_whole() -> None:
    assert len(CELLS) == 100
    assert len({(source, target) for source, target, _ in CELLS}) == 100


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target", "how"), CELLS)
async def test_cell(gtk_client: StartClient, source: str, target: str, how: str) -> None:
    async with two_servers(source, target) as (one, other):
        client, before = await come(gtk_client, one)
        if how == "-":
            with pytest.raises(NotCompatible, match=r"level 0\.6\.4 has no migration"):
                await one.migrate_to(other)
            assert one.clients == [before]
            await check_life(client, before, one)
            return
        picture = picture_of(one.displays[0])
        after = await moved(client, one, other, SCHEMES[how])
        assert (after.session_id == before.session_id) is (how != "host")
        assert picture_of(other.displays[0]) == picture
        await check_shown(client, after, other, "moved")
        await check_life(client, after, other)


@pytest.mark.parametrize(("source", "target"), without(WITHOUT_SURFACES))
async def test_an_offscreen_surface(gtk_client: StartClient, source: str, target: str) -> None:
    async with two_servers(source, target) as (one, other):
        client, before = await come(gtk_client, one)
        (display,) = one.displays
        surface = display.create_surface(50, 40)
        display.copy_surface(surface, (0, 0, 50, 40), (10, 10))
        with pytest.raises(NotCompatible, match=rf"level {target} lacks .*: SURFACES; retreat=True"):
            await one.migrate_to(other)
        assert list(display.surfaces) == [0, surface]
        await check_life(client, before, one)
        after = await moved(client, one, other, SWITCH_HOST, retreat=True)
        assert [list(each.displays[0].surfaces) for each in (one, other)] == [[0], [0]]
        await check_shown(client, after, other)
        await check_life(client, after, other)


@pytest.mark.parametrize(("source", "target"), without(ONE_HEAD))
async def test_a_second_head(gtk_client: StartClient, source: str, target: str) -> None:
    async with two_servers(source, target) as (one, other):
        client, before = await come(gtk_client, one)
        (display,) = one.displays
        heads = [Head(0, 200, 0, 400, 300), Head(1, 0, 0, 200, 250)]
        one.guest.set_heads(0, heads)
        draw_everything(display)
        with pytest.raises(NotCompatible, match=rf"level {target} lacks .*: MONITORS_CONFIG; retreat=True"):
            await one.migrate_to(other)
        assert list(display.heads) == heads
        await check_shown(client, before, one)
        how = {(each, to): way for each, to, way in CELLS}[source, target]
        after = await moved(client, one, other, SCHEMES[how], retreat=True)
        assert list(other.displays[0].heads) == [Head(0, 0, 0, 400, 300)]
        await check_shown(client, after, other)
        await check_life(client, after, other)


@pytest.mark.parametrize("retreat", [False, True])
@pytest.mark.parametrize(("source", "target"), without(ONE_DISPLAY_CHANNEL))
async def test_a_second_display_channel(gtk_client: StartClient, source: str, target: str, retreat: bool) -> None:
    async with two_servers(source, target, displays=[SIZE, (200, 320)]) as (one, other):
        client, before = await come(gtk_client, one)
        surface = one.displays[0].create_surface(50, 40)
        with pytest.raises(NotCompatible, match=rf"level {target} lacks MULTI_DISPLAY_CHANNELS"):
            await one.migrate_to(other, retreat=retreat)
        assert list(one.displays[0].surfaces) == [0, surface]  # refused before anything was given up
        draw_everything(one.displays[1], 2)
        await check_shown(client, before, one)


async def test_what_the_source_does_not_show_is_no_reason(gtk_client: StartClient) -> None:
    """A guest's surface and head that level 0.4 never showed go along to another 0.4, as unseen as before."""
    async with two_servers("0.4", "0.4") as (one, other):
        one.guest.set_heads(0, [Head(0, 0, 0, 400, 300), Head(1, 400, 0, 200, 250)])
        one.displays[0].create_surface(50, 40)
        draw_everything(one.displays[0])
        client = await gtk_client(port=one.port)
        await whole(one)
        await client.ready()
        after = await moved(client, one, other, SWITCH_HOST)
        (display,) = other.displays
        assert (len(display.heads), len(display.surfaces)) == (2, 2)
        await after.synced()
        assert (await client.screenshot()).difference(picture_of(display).crop(0, 0, 400, 300)) == ""


@pytest.mark.parametrize(
    ("source", "target"), [("0.6", "0.8"), ("0.8", "0.6"), ("0.8", "0.15"), ("0.10", "0.15"), ("0.15", "0.12")]
)
async def test_remote_viewer(remote_viewer: StartViewer, source: str, target: str) -> None:
    async with two_servers(source, target) as (one, other):
        draw_everything(one.displays[0])
        viewer = await remote_viewer(one.uri)
        await viewer.shows(picture_of(one.displays[0]))
        await whole(one, sound=True)
        how = {(each, to): way for each, to, way in CELLS}[source, target]
        viewer.expected_warnings += WARNINGS_OF_A_SWITCH if how == "host" else ()
        (result,) = await one.migrate_to(other)
        assert (result.scheme, result.followed) == (SCHEMES[how], True)
        after = await whole(other, sound=True)
        await viewer.shows(picture_of(other.displays[0]))
        draw_everything(other.displays[0], 2)
        await viewer.shows(picture_of(other.displays[0]))
        await viewer.focus()
        await viewer.type("ab")
        for character in "ab":
            await after.expect(lambda event, typed=character: isinstance(event, KeyDown) and event.character == typed)
