"""Recorded sessions changed by hand: each change is found, as one thing, in its place."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import pytest

from spiceemu.judge.connection import ConnectionJudge
from spiceemu.judge.finding import Finding, Kind
from spiceemu.protocol.levels.level import level_of
from spiceemu.protocol.messages.migrate_data import InputsData

from .edited import Edited
from .recorded import CLIENT, SERVER, judged, release_of

NOW = "0.15.1/qemu__spice-gtk-0.42__password-right"  # 001 main, 002 display, 003 cursor, 004 inputs, mini headers
ALL = "0.15.1/qemu__spice-gtk-0.42__all-channels"  # 004 record, 007 playback, 008 display, 011 port, 012 inputs
CURSORS = "0.15.1/xspice__spice-gtk-0.42__cursors"
TWO_HEADS = "0.15.1/xspice__spice-gtk-0.42__two-heads"  # 003 display
RECORD = "0.15.1/qemu__spice-gtk-0.42__record"
JPEG = "0.15.1/qemu__spice-gtk-0.42__jpeg"
WEB = "0.15.1/qemu__spice-html5-0.3"  # a client without capabilities
FULL = "old-peers/server-0.15__spicec-0.8"  # full headers
OLD = "old-peers/server-0.8__spicec-0.8"
OLDEST = "old-peers/server-0.6__spicec-0.8"
VIDEO = "old-peers/server-0.8__spicec-0.8__video-mjpeg"
AGENT = "old-peers/server-0.8__spicec-0.8__agent-silent"
SOURCE = "0.15.1/qemu__migration-seamless-source"  # 001 main, 008 display, 012 inputs
TARGET = "0.15.1/qemu__migration-seamless-target"
SEMI_TARGET = "0.15.1/qemu__migration-semi-target"

U32 = struct.Struct("<I")
DRAW_COPY = 304
IMAGE_AT = 21  # of a DRAW_COPY that is not clipped: surface, box, clip; then the picture's offset
IMAGE_TYPE, IMAGE_FLAGS = 8, 9  # within the picture's descriptor, behind its id

#: Nothing but zeros, long enough for any message without counts.
ZEROS = bytes(64)
PING = struct.pack("<IQ", 77, 1)
MOTIONS = InputsData().build()
WINDOW = struct.pack("<II", 1, 20)
SURFACE_5 = struct.pack("<5I", 5, 64, 64, 32, 0)
MONITORS = struct.pack("<HH7I", 1, 1, 0, 0, 640, 480, 0, 0, 0)


class Case(NamedTuple):
    """A change: what it does to a session, and what is then found where the function says.

    :ivar edit: returns the place of the part at fault.
    :ivar level: whose rules are asked; the server's own release if empty.
    """

    session: str
    edit: Callable[[Edited], int]
    kind: Kind
    name: str
    says: str
    level: str = ""


def image_at(edited: Edited, at: int) -> int:
    body = edited.body(at)
    assert body[20] == 0, "clipped"
    return int(U32.unpack_from(body, IMAGE_AT)[0])


def first_picture(edited: Edited, connection: str, wanted: int | None = None) -> tuple[int, int]:
    """A DRAW_COPY, and where its picture begins."""
    for which in range(2000):
        at = edited.find(connection, SERVER, DRAW_COPY, which)
        if edited.body(at)[20] == 0:
            start = image_at(edited, at)
            if wanted is None or edited.body(at)[start + IMAGE_TYPE] == wanted:
                return at, start
    raise AssertionError


def order(session: str, edit: Callable[[Edited], int], name: str, says: str, level: str = "") -> Case:
    return Case(session, edit, Kind.ORDER, name, says, level)


def of_kind(session: str, edit: Callable[[Edited], int], name: str, says: str, level: str = "") -> Case:
    return Case(session, edit, Kind.MESSAGE, name, says, level)


def drop(connection: str, direction: str, number: int, then: int, of: str = "") -> Callable[[Edited], int]:
    """Leave a message out; another one, perhaps of the other side, is then at fault."""

    def edit(edited: Edited) -> int:
        edited.drop(edited.find(connection, direction, number))
        return edited.find(connection, of or direction, then)

    return edit


def repeat(connection: str, direction: str, number: int) -> Callable[[Edited], int]:
    return lambda edited: edited.repeat(edited.find(connection, direction, number))


def append(connection: str, direction: str, number: int, body: bytes = b"", **more: int) -> Callable[[Edited], int]:
    return lambda edited: edited.append(connection, direction, number, body, **more)


def before(
    connection: str, direction: str, number: int, body: bytes, other: int, of: str = ""
) -> Callable[[Edited], int]:
    """Insert a message before another."""
    return lambda edited: edited.insert(
        edited.find(connection, of or direction, other), connection, direction, number, body
    )


def mark_first(edited: Edited) -> int:
    edited.move(edited.find("002", SERVER, 317), edited.find("002", SERVER, 314))
    return edited.move(edited.find("002", SERVER, 102), edited.find("002", SERVER, 314))


def list_before_attach(edited: Edited) -> int:
    listed = edited.find("001", SERVER, 104)
    edited.move(edited.find("001", CLIENT, 104), listed + 1)
    return edited.find("001", SERVER, 104)


def late_display_init(edited: Edited) -> int:
    edited.move(edited.find("002", CLIENT, 101), len(edited.parts))
    return edited.find("002", SERVER, 108)


def early_preference(edited: Edited) -> int:
    return edited.insert(edited.find("002", CLIENT, 101), "002", CLIENT, 103, b"\1")


def draw_elsewhere(edited: Edited) -> int:
    return edited.patch(edited.find("002", SERVER, DRAW_COPY), 0, U32.pack(5))


def picture(connection: str, kind: int) -> Callable[[Edited], int]:
    """Change the type of a picture that is LZ_RGB, or FROM_CACHE of one that has any type."""

    def edit(edited: Edited) -> int:
        at, start = first_picture(edited, connection, 101 if kind == 109 else None)
        edited.patch(at, start + IMAGE_FLAGS, b"\0")
        return edited.patch(at, start + IMAGE_TYPE, bytes([kind]))

    return edit


def from_other_surface(edited: Edited) -> int:
    at, start = first_picture(edited, "003", 104)
    assert U32.unpack_from(edited.body(at), start + 18)[0] != 77
    return edited.patch(at, start + 18, U32.pack(77))


def serial_again(edited: Edited) -> int:
    at = edited.find("conn-02-display0", SERVER, 314)
    part = edited.parts[at]
    edited.parts[at] = part._replace(data=struct.pack("<Q", 1) + part.data[8:])
    return at


def acks_lost(edited: Edited) -> int:
    edited.parts = [
        part for part in edited.parts if edited.is_link(part) or part[:2] != ("002", CLIENT) or edited.number(part) != 2
    ]
    sent = [at for at, part in enumerate(edited.parts) if part[:2] == ("002", SERVER) and not edited.is_link(part)]
    assert edited.number(edited.parts[sent[0]]) == 3  # SET_ACK, window 20
    return sent[42]


def too_many_agent_messages(edited: Edited) -> int:
    said = edited.find("conn-01-main0", CLIENT, 107)
    for _ in range(9):
        edited.repeat(said)
    edited.drop(said)
    for _ in range(2):
        edited.repeat(said)
    return edited.find("conn-01-main0", CLIENT, 107, 10)


def not_listed(edited: Edited) -> int:
    listed = edited.find("001", SERVER, 104)
    body = edited.body(listed)
    count = U32.unpack_from(body)[0]
    left = b"".join(body[at : at + 2] for at in range(4, 4 + 2 * count, 2) if body[at] != 4)
    edited.replace(listed, 104, U32.pack(count - 1) + left)
    return edited.link("003", CLIENT)


def more_channels(edited: Edited) -> bytes:
    body = edited.body(edited.find("001", SERVER, 104))
    return U32.pack(U32.unpack_from(body)[0] + 1) + body[4:] + bytes([77, 0])


def no_more_than_migrate(edited: Edited) -> int:
    edited.drop(edited.find("008", CLIENT, 4))
    edited.drop(edited.find("008", SERVER, 2))
    return edited.find("008", SERVER, 1)


def wrong_flags(connection: str, flags: int) -> Callable[[Edited], int]:
    """Let MIGRATE ask for something else; what follows stays what it was."""
    return lambda edited: edited.patch(edited.find(connection, SERVER, 1), 0, U32.pack(flags))


def wrong_state(session: str, connection: str, direction: str, state: Callable[[bytes], bytes], says: str) -> Case:
    """Change what a MIGRATE_DATA holds."""

    def edit(edited: Edited) -> int:
        number = 2 if direction == SERVER else 5
        at = edited.find(connection, direction, number)
        return edited.replace(at, number, state(edited.body(at)))

    return Case(session, edit, Kind.MALFORMED, "base.MigrateData", says)


def mode_for_surface(edited: Edited) -> int:
    """As 0.4 would say it: MODE instead of SURFACE_CREATE."""
    return edited.replace(edited.find("conn-03-display0", SERVER, 314), 101, struct.pack("<3I", 800, 600, 32))


def mode_twice(edited: Edited) -> int:
    return edited.repeat(mode_for_surface(edited))


def drop_port_init(edited: Edited) -> int:
    edited.drop(edited.find("011", SERVER, 201))
    return edited.find("011", SERVER, 101)


CASES = {
    "main without INIT": order(NOW, drop("001", SERVER, 103, 113), "main.Name", "comes before main.Init"),
    "main with two INITs": order(NOW, repeat("001", SERVER, 103), "main.Init", "comes again"),
    "list before it is asked for": order(NOW, list_before_attach, "main.ChannelsList", "before main.AttachChannels"),
    "two lists in 0.8.3": order(OLD, repeat("conn-01-main0", SERVER, 104), "main.ChannelsList", "comes again"),
    "agent's data without agent": order(NOW, append("001", SERVER, 109, b"x"), "main.AgentData", "no agent"),
    "data for no agent": order(NOW, append("001", CLIENT, 107, b"x"), "main.AgentData", "no agent was ever"),
    "data without tokens": order(AGENT, too_many_agent_messages, "main.AgentData", "without a token of the server's"),
    "data before its tokens": order(
        AGENT,
        before("conn-01-main0", SERVER, 109, b"x", 106, CLIENT),
        "main.AgentData",
        "without a token of the client's",
    ),
    "end of no migration": order(NOW, append("001", SERVER, 112), "main.MigrateEnd", "without main.MigrateBegin"),
    "connected to no target": order(NOW, append("001", CLIENT, 102), "main.MigrateConnected", "without main.Mig"),
    "no target": order(NOW, append("001", CLIENT, 109), "main.MigrateEnd", "this server is not"),
    "no seamless target": order(NOW, append("001", CLIENT, 110, U32.pack(1)), "main.MigrateDstDoSeamless", "is not"),
    "answer to no question": order(NOW, append("001", SERVER, 117), "main.MigrateDstSeamlessAck", "answers no"),
    "parked, but speaks": order(
        SEMI_TARGET, before("001", SERVER, 7, ZEROS, 109, CLIENT), "base.Notify", "before main.MigrateEnd"
    ),
    "asked, but says something else": order(
        TARGET, before("001", SERVER, 106, U32.pack(1), 117), "main.MultiMediaTime", "before the answer"
    ),
    "display that speaks first": order(NOW, late_display_init, "display.InvalAllPalettes", "before display.Init"),
    "client's display without INIT": order(NOW, early_preference, "display.PreferredCompression", "before display.In"),
    "two INITs of a display": order(NOW, repeat("002", CLIENT, 101), "display.Init", "comes again"),
    "MARK without primary": order(NOW, mark_first, "display.Mark", "without a primary"),
    "MARK without monitors": order(
        NOW, drop("002", SERVER, 317, 102), "display.Mark", "without display.MonitorsConfig"
    ),
    "draw to surface 5": order(NOW, draw_elsewhere, "display.DrawCopy", "draws to surface 5"),
    "picture of surface 77": order(TWO_HEADS, from_other_surface, "display.DrawCopy", "from surface 77"),
    "two primaries": order(NOW, repeat("002", SERVER, 314), "display.SurfaceCreate", "creates surface 0, which is"),
    "primary by another number": order(
        NOW, append("002", SERVER, 314, struct.pack("<5I", 5, 9, 9, 32, 1)), "display.SurfaceCreate", "surface 5 has"
    ),
    "surface number": order(
        NOW, append("002", SERVER, 314, struct.pack("<5I", 1024, 9, 9, 32, 0)), "display.SurfaceCreate", "below 1024"
    ),
    "destroys nothing": order(NOW, append("002", SERVER, 315, U32.pack(7)), "display.SurfaceDestroy", "surface 7"),
    "from the cache": order(NOW, picture("002", 103), "display.DrawCopy", "from the cache, where it is not"),
    "lossless from the cache": order(NOW, picture("002", 106), "display.DrawCopy", "from the cache"),
    "MODE now": of_kind(NOW, append("002", SERVER, 101, bytes(12)), "display.Mode", "0.15.1, which has SURFACES"),
    "RESET now": of_kind(NOW, append("002", SERVER, 103), "display.Reset", "0.15.1, which has SURFACES"),
    "MODE in 0.6.4": of_kind(
        OLDEST, append("conn-03-display0", SERVER, 101, bytes(12)), "display.Mode", "0.6.4, which has SURFACES"
    ),
    "PING of a display in 0.8.3": of_kind(
        OLD,
        append("conn-02-display0", SERVER, 4, PING),
        "base.Ping",
        "needs CHANNEL_PINGS, which level 0.8.3 does not have",
    ),
    "PING of inputs in 0.6.4": of_kind(
        OLDEST, append("conn-04-inputs0", SERVER, 4, PING), "base.Ping", "CHANNEL_PINGS"
    ),
    "PONG of a display in 0.8.3": of_kind(
        OLD,
        append("conn-02-display0", CLIENT, 3, PING),
        "base.Pong",
        "needs CHANNEL_PINGS, which level 0.8.3 does not have",
    ),
    "SET_ACK of main": of_kind(
        NOW, append("001", SERVER, 3, WINDOW), "base.SetAck", "display and cursor channels only"
    ),
    "SET_ACK of inputs in 0.8.3": of_kind(
        OLD, append("conn-04-inputs0", SERVER, 3, WINDOW), "base.SetAck", "display and cursor channels only"
    ),
    "SET_ACK of playback": of_kind(
        ALL, append("007", SERVER, 3, WINDOW), "base.SetAck", "display and cursor channels only"
    ),
    "MODE twice in 0.4": order(OLDEST, mode_twice, "display.Mode", "without display.Reset", "0.4"),
    "data of no video": order(NOW, append("002", SERVER, 123, U32.pack(3) + bytes(8)), "display.StreamData", "video 3"),
    "end of no video": order(NOW, append("002", SERVER, 125, U32.pack(3)), "display.StreamDestroy", "video 3"),
    "clip of no video": order(NOW, append("002", SERVER, 124, U32.pack(3) + b"\0"), "display.StreamClip", "video 3"),
    "reports of no video": order(
        NOW, append("002", SERVER, 319, ZEROS[:16]), "display.StreamActivateReport", "video 0"
    ),
    "report unasked": order(NOW, append("002", CLIENT, 102, ZEROS[:32]), "display.StreamReport", "nobody asked"),
    "two videos of one id": order(
        VIDEO, repeat("conn-04-display0", SERVER, 122), "display.StreamCreate", "video 49, which is there"
    ),
    "video number": order(
        NOW,
        append("002", SERVER, 122, struct.pack("<IIBBQ8I", 0, 64, 0, 1, 0, *[0] * 8) + b"\0"),
        "display.StreamCreate",
        "id 64",
    ),
    "cursor without INIT": order(CURSORS, drop("004", SERVER, 101, 103), "cursor.Set", "before cursor.Init"),
    "two INITs of a cursor": order(NOW, repeat("003", SERVER, 101), "cursor.Init", "without cursor.Reset"),
    "cursor from the cache": order(
        NOW,
        append("003", SERVER, 103, bytes(4) + b"\1" + struct.pack("<HQB4H", 4, 0xABC, 0, 9, 9, 0, 0)),
        "cursor.Set",
        "cursor 0xabc from the cache",
    ),
    "inputs without INIT": order(NOW, drop("004", SERVER, 101, 102), "inputs.KeyModifiers", "before inputs.Init"),
    "two INITs of inputs": order(NOW, repeat("004", SERVER, 101), "inputs.Init", "comes again"),
    "motions that were not": order(NOW, append("004", SERVER, 111), "inputs.MouseMotionAck", "4 more motions"),
    "port without INIT": order(ALL, drop_port_init, "spicevmc.Data", "before spicevmc.Init"),
    "sound without START": order(ALL, drop("007", SERVER, 103, 101), "playback.Data", "without playback.Start"),
    "two STARTs": order(ALL, repeat("007", SERVER, 103), "playback.Start", "comes again"),
    "two STOPs": order(ALL, repeat("007", SERVER, 104), "playback.Stop", "without playback.Start"),
    "recorded unasked": order(
        RECORD,
        lambda edited: (edited.drop(edited.find("004", SERVER, 101)), edited.find("004", CLIENT, 103))[1],
        "record.StartMark",
        "without record.Start",
    ),
    "message behind MIGRATE": order(
        SOURCE, before("012", SERVER, 102, b"\0\0", 2), "inputs.KeyModifiers", "follows base.Migrate"
    ),
    "message behind MIGRATE_DATA": order(SOURCE, append("012", SERVER, 102, b"\0\0"), "inputs.KeyModifiers", "nothing"),
    "data of no migration": order(NOW, append("004", SERVER, 2, MOTIONS), "base.MigrateData", "without base.Migrate"),
    "data for no target": order(NOW, append("004", CLIENT, 5, MOTIONS), "base.MigrateData", "this server is not"),
    "flushed unasked": order(NOW, append("004", CLIENT, 4), "base.MigrateFlushMark", "asks for it"),
    "message behind the flush mark": order(
        SOURCE, append("012", CLIENT, 103, b"\0\0"), "inputs.KeyModifiers", "follows base.MigrateFlushMark"
    ),
    "MIGRATE of a cursor with a state": order(SOURCE, wrong_flags("009", 3), "base.Migrate", "has flags 0x3, on"),
    "MIGRATE of a display without": order(
        SOURCE, wrong_flags("008", 0), "base.Migrate", "has flags 0x0, on this channel"
    ),
    "MIGRATE with bits that nobody knows": order(
        SOURCE, wrong_flags("008", 0xFFFFFFFF), "base.Migrate", "has flags 0xffffffff, on this channel they are 0x3"
    ),
    "state that never comes": order(
        SOURCE, drop("008", SERVER, 2, 1, of=SERVER), "base.Migrate", "announces base.MigrateData, which never came"
    ),
    "state before the flush mark": order(
        SOURCE, drop("008", CLIENT, 4, 2, of=SERVER), "base.MigrateData", "before base.MigrateFlushMark of the client"
    ),
    "neither flush mark nor state": order(
        SOURCE, no_more_than_migrate, "base.Migrate", "asks for base.MigrateFlushMark of the client, which never came"
    ),
    "state of another channel": wrong_state(
        SOURCE,
        "008",
        SERVER,
        lambda state: b"XXXX" + state[4:],
        "DisplayData.header.magic at offset 0: b'XXXX', it must",
    ),
    "state that is none": wrong_state(SOURCE, "001", SERVER, lambda _: b"XX", "main.MainData.header"),
    "state cut off": wrong_state(SOURCE, "012", SERVER, lambda state: state[:-1], "inputs.InputsData.motion_count"),
    "state of another version": wrong_state(
        TARGET,
        "006",
        CLIENT,
        lambda state: state[:4] + U32.pack(2) + state[8:],
        "header.version at offset 4: 2, it must",
    ),
    "no MARK": order(NOW, drop("002", SERVER, 102, DRAW_COPY), "display.DrawCopy", "no display.Mark ever shows"),
    "no MARK in 0.6.4": order(
        OLDEST, drop("conn-03-display0", SERVER, 102, DRAW_COPY), "display.DrawCopy", "no display.Mark ever shows"
    ),
    "no INVAL_ALL_PALETTES": order(
        NOW, drop("002", SERVER, 108, DRAW_COPY), "display.DrawCopy", "comes before display.InvalAllPalettes"
    ),
    "no INVAL_ALL_PALETTES in 0.8.3": order(
        OLD, drop("conn-02-display0", SERVER, 108, DRAW_COPY), "display.DrawCopy", "before display.InvalAllPalettes"
    ),
    "serial": order(FULL, serial_again, "serial 1", "follows serial 2"),
    "acknowledgements lost": order(JPEG, acks_lost, "display.DrawCopy", "more than the 41"),
    "ACK_SYNC for nothing": order(NOW, append("004", CLIENT, 1, U32.pack(1)), "base.AckSync", "answers no"),
    "ACK for nothing": order(NOW, append("004", CLIENT, 2), "base.Ack", "without base.SetAck"),
    "waits for a channel that is not": order(
        NOW, append("002", SERVER, 5, struct.pack("<BBBQ", 1, 2, 7, 1)), "base.WaitForChannels", "display:7"
    ),
    "waits for ever": order(
        NOW, append("002", SERVER, 5, struct.pack("<BBBQ", 1, 4, 0, 999)), "base.WaitForChannels", "999 of cursor:0"
    ),
    "list in full headers": of_kind(
        FULL, append("conn-02-display0", SERVER, 8, b"\0\0"), "base.List", "mini headers only"
    ),
    "SWITCH_HOST in 0.6.4": Case(
        OLDEST,
        append("conn-01-main0", SERVER, 111, ZEROS[:20]),
        Kind.MESSAGE,
        "main.MigrateSwitchHost",
        "is not sent at level 0.6.4",
    ),
    "MIGRATE in 0.8.3": Case(
        OLD, append("conn-04-inputs0", SERVER, 1, ZEROS[:4]), Kind.MESSAGE, "base.Migrate", "needs SEAMLESS_MIGRATE"
    ),
    "a list of what no server has": Case(
        NOW,
        lambda edited: edited.replace(edited.find("001", SERVER, 104), 104, more_channels(edited)),
        Kind.MESSAGE,
        "channel 77:0 in main.ChannelsList",
        "is of a type that no server has",
    ),
    "monitors in 0.8.3": Case(
        OLD,
        append("conn-02-display0", SERVER, 317, MONITORS),
        Kind.MESSAGE,
        "display.MonitorsConfig",
        "needs MONITORS_CONFIG, which level 0.8.3 does not have",
    ),
    "monitors for a client without": Case(
        WEB,
        append("007", SERVER, 317, MONITORS),
        Kind.MESSAGE,
        "display.MonitorsConfig",
        "needs DisplayCap.MONITORS_CONFIG, which the receiver did not announce",
    ),
    "list in 0.8.3": Case(
        OLD, append("conn-02-display0", SERVER, 8, b"\0\0"), Kind.MESSAGE, "base.List", "needs MINI_HEADER"
    ),
    "LZ4 in 0.8.3": Case(
        OLD,
        picture("conn-02-display0", 109),
        Kind.IMAGE,
        "image type LZ4 in display.DrawCopy",
        "needs LZ4_COMPRESSION, which level 0.8.3 does not have",
    ),
    "LZ4 for a client without": Case(
        FULL,
        picture("conn-02-display0", 109),
        Kind.IMAGE,
        "image type LZ4 in display.DrawCopy",
        "needs DisplayCap.LZ4_COMPRESSION",
    ),
    "unknown id": Case(NOW, append("002", SERVER, 399), Kind.MESSAGE, "display message 399", "has id 399"),
    "unknown id of the client": Case(NOW, append("001", CLIENT, 112), Kind.MESSAGE, "main message 112", "has id 112"),
    "truncated": Case(
        NOW,
        lambda edited: edited.replace(edited.find("001", CLIENT, 3), 3, bytes(4)),
        Kind.MALFORMED,
        "base.Pong",
        "base.Pong.timestamp at offset 4",
    ),
    "sub-messages outside": Case(
        FULL, append("conn-02-display0", SERVER, 108, b"", sub_list=9), Kind.MALFORMED, "base.List", "a list at 9"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_change_is_found_in_its_place(case: Case) -> None:
    edited = Edited(case.session)
    at = case.edit(edited)
    found = judged(edited.parts, level_of(case.level or release_of(case.session)))
    assert [finding.name for finding in found] == [case.name], found
    (finding,) = found
    assert finding.kind is case.kind
    assert case.says in finding.explanation
    place = edited.place(at)
    offset = place.offset if finding.index else finding.offset
    assert (finding.connection, finding.direction, finding.index, finding.serial, offset) == tuple(place)


def one(edited: Edited, level: str = "0.15.1") -> Finding:
    (finding,) = judged(edited.parts, level_of(level))
    return finding


def test_mode_is_what_a_server_0_4_says() -> None:
    edited = Edited(OLDEST)
    mode_for_surface(edited)
    assert judged(edited.parts, level_of("0.4")) == []


@pytest.mark.parametrize("forgets", [None, 105, 106], ids=["kept", "INVAL_LIST", "INVAL_ALL_PIXMAPS"])
def test_pictures_are_remembered_until_they_are_forgotten(forgets: int | None) -> None:
    edited = Edited(NOW)
    at, start = first_picture(edited, "002")
    unique = edited.body(at)[start : start + 8]
    edited.patch(at, start + IMAGE_FLAGS, b"\1")  # CACHE_ME
    if forgets is not None:
        edited.append("002", SERVER, forgets, struct.pack("<HB", 1, 2) + unique if forgets == 105 else b"\0")
    again = edited.append("002", SERVER, DRAW_COPY, edited.body(at))
    edited.patch(again, start + IMAGE_FLAGS, b"\0")
    edited.patch(again, start + IMAGE_TYPE, b"\x67")  # FROM_CACHE
    found = judged(edited.parts, level_of("0.15.1"))
    assert [finding.offset for finding in found] == ([edited.place(again).offset] if forgets else [])


def test_a_later_list_came_with_stream_channels() -> None:
    edited = Edited(NOW)
    edited.repeat(edited.find("001", SERVER, 104))
    assert judged(edited.parts, level_of("0.15.1")) == []


def test_sub_messages_are_judged_as_well() -> None:
    edited = Edited(FULL)
    inner = struct.pack("<HI", 315, 4) + U32.pack(7)
    at = edited.append("conn-02-display0", SERVER, 107, bytes(8) + struct.pack("<HI", 1, 14) + inner, sub_list=8)
    finding = one(edited)
    assert (finding.name, finding.offset) == ("display.SurfaceDestroy", edited.place(at).offset)


def test_a_list_is_judged_as_what_is_in_it() -> None:
    edited = Edited(NOW)
    inner = struct.pack("<HI", 315, 4) + U32.pack(7)
    at = edited.append("002", SERVER, 8, struct.pack("<HI", 1, 6) + inner)
    finding = one(edited)
    assert (finding.name, finding.offset) == ("display.SurfaceDestroy", edited.place(at).offset)


def test_a_minor_that_promises_more() -> None:
    edited = Edited(NOW)
    edited.patch(edited.link("002", SERVER), 8, U32.pack(3))
    finding = one(edited)
    assert (finding.kind, finding.name, finding.connection, finding.offset) == (Kind.LINK, "minor 3", "002", 8)


def test_a_client_may_send_messages_in_another_order_than_it_numbered_them() -> None:
    edited = Edited(FULL)
    at = edited.find("conn-01-main0", CLIENT, 3)
    edited.parts[at] = edited.parts[at]._replace(data=struct.pack("<Q", 1 << 40) + edited.parts[at].data[8:])
    assert judged(edited.parts, level_of("0.15.1")) == []


def test_a_minor_that_promises_less_goes_with_capabilities_that_do() -> None:
    edited = Edited(NOW)
    link = edited.patch(edited.link("002", SERVER), 8, U32.pack(1))
    finding = one(edited)
    assert (finding.kind, finding.name, finding.connection, finding.offset) == (Kind.LINK, "minor 1", "002", 8)
    assert finding.explanation == "minor 1 of the protocol's version: what is offered came with minor 2"
    for connection in ("001", "002", "003", "004"):
        link = edited.patch(edited.link(connection, SERVER), 8, U32.pack(0))
        edited.patch(link, 194, U32.pack(0b11))  # without MINI_HEADER
    words = edited.parts[edited.link("001", SERVER)].data[198:202]
    assert U32.unpack(words) == (0xF,)
    edited.patch(edited.link("001", SERVER), 198, U32.pack(0x6))  # without what migration offers
    assert [each.name for each in judged(edited.parts, level_of("0.15.1")) if each.kind is Kind.LINK] == []


@pytest.mark.parametrize(("session", "level"), [(OLD, "0.8.3"), (OLDEST, "0.6.4")])
def test_the_minor_of_a_release(session: str, level: str) -> None:
    edited = Edited(session)
    for at, part in enumerate(edited.parts):
        if edited.is_link(part) and part.direction == SERVER:
            edited.patch(at, 8, U32.pack(0))
    found = [(each.name, each.channel) for each in judged(edited.parts, level_of(level))]
    assert found == ([("minor 0", "main:0")] if level == "0.8.3" else [])


@pytest.mark.parametrize("channel_word", [False, True])
def test_no_capabilities_are_no_words(channel_word: bool) -> None:
    edited = Edited(OLDEST)
    at = edited.link("conn-03-display0", SERVER)
    part = edited.parts[at]
    size = U32.pack(len(part.data) - 16 + 4)
    counts = struct.pack("<II", not channel_word, channel_word)
    data = part.data[:12] + size + part.data[16:182] + counts + part.data[190:194] + bytes(4) + part.data[194:]
    edited.parts[at] = part._replace(data=data)
    finding = one(edited, "0.6.4")
    assert (finding.kind, finding.name, finding.offset) == (Kind.LINK, "a capability word of zero", 194)


def test_a_recording_may_end_between_a_picture_and_its_mark() -> None:
    edited = Edited(NOW)
    mark = edited.find("002", SERVER, 102)
    edited.parts = [part for at, part in enumerate(edited.parts) if part.connection != "002" or at < mark]
    assert judged(edited.parts, level_of("0.15.1")) == []


def test_a_primary_that_is_gone_needs_no_mark() -> None:
    edited = Edited(NOW)
    edited.append("002", SERVER, 315, U32.pack(0))
    edited.append("002", SERVER, 314, struct.pack("<5I", 0, 64, 64, 32, 1))
    edited.append("002", SERVER, DRAW_COPY, edited.body(edited.find("002", SERVER, DRAW_COPY)))
    edited.append("002", SERVER, 315, U32.pack(0))
    assert judged(edited.parts, level_of("0.15.1")) == []


def test_capabilities_that_nobody_has() -> None:
    edited = Edited(NOW)
    link = edited.link("003", SERVER)  # one common word, none of the cursor's
    edited.patch(link, 194, U32.pack(0b1011 | 1 << 17))
    finding = one(edited)
    assert (finding.kind, finding.name, finding.offset) == (Kind.CAPABILITY, "common capability bit 17", 194)


def test_a_mechanism_that_was_not_offered() -> None:
    edited = Edited(NOW)
    edited.patch(edited.link("003", SERVER), 194, U32.pack(0b1001))
    finding = one(edited)
    assert (finding.kind, finding.name, finding.direction) == (Kind.LINK, "mechanism 1", "client")
    link = edited.parts[edited.link("003", CLIENT)].data
    assert U32.unpack_from(link, finding.offset) == (1,)


def test_a_session_that_no_server_named() -> None:
    edited = Edited(NOW)
    edited.patch(edited.link("003", CLIENT), 16, U32.pack(1))
    finding = one(edited)
    assert (finding.kind, finding.name, finding.offset) == (Kind.ORDER, "session 0x1", 16)


def test_a_channel_that_was_not_listed() -> None:
    edited = Edited(NOW)
    not_listed(edited)
    finding = one(edited)
    assert (finding.kind, finding.name, finding.offset) == (Kind.ORDER, "channel cursor:0", 20)


def test_a_body_beyond_all_limits_ends_its_connection_alone() -> None:
    edited = Edited(NOW)
    at = edited.find("002", SERVER, 314)
    part = edited.parts[at]
    edited.parts[at] = part._replace(data=struct.pack("<HI", 314, 0xFFFFFFFF))
    edited.append("004", SERVER, 111)
    broken, other = judged(edited.parts, level_of("0.15.1"))
    assert (broken.kind, broken.name, broken.offset) == (Kind.MALFORMED, "display message 3", edited.place(at).offset)
    assert "the limit is" in broken.explanation
    assert other.name == "inputs.MouseMotionAck"


def test_what_is_no_link() -> None:
    judge = ConnectionJudge(level_of("0.15.1"), "9")
    (finding,) = judge.client_data(b"GET / HTTP/1.1\r\n")
    assert (finding.kind, finding.name, finding.channel) == (Kind.MALFORMED, "link", "")
    assert judge.client_data(b"more") == judge.server_data(b"more") == judge.finish() == []
