"""Whatever a guest does, every level shows its first head as it is, to every real client, and says what it may.

What may be said is the judge's to tell, which is judged itself by recordings of real servers. It is shown here to
notice what these scripts would do without each gate: the same scripts at a level that has one feature more.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from spiceemu.guest.display import Display
from spiceemu.guest.machine import Guest
from spiceemu.judge.stream import StreamJudge
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.level import LEVELS, Level, changed, level_of
from spiceemu.protocol.messages import display
from spiceemu.protocol.messages.message import Message

from .script import Step, do, steps
from .wire import CLIENTS, DISPLAY, Wire

SIZES = [(40, 30), (24, 36)]


def run(level: str | Level, client: str, script: list[Step]) -> Wire:
    """Run a script with a client that reads all in the end."""
    guest = Guest(sizes=SIZES)
    wire = Wire(guest, level_of(level), CLIENTS[client])
    wire.connect()
    for step in script:
        do(wire, guest, step)
    wire.pump()
    return wire


def findings(wire: Wire, level: str | Level) -> list[str]:
    """What the judge has to say of all that went over the wire, by the rules of a level."""
    judge = StreamJudge(level)
    found = []
    lines = {id(line): judge.connection(f"{line.kind.name}:{line.number}") for line in wire.lines.values()}
    for line, from_client, data in wire.pieces:
        hear = lines[id(line)].client_data if from_client else lines[id(line)].server_data
        found += hear(data)
    found += judge.finish()
    return [str(each) for each in found]


def first_head(shown: Display) -> bytes:
    """The pixels of the first head, as the guest has them."""
    head = min(shown.heads, key=lambda each: each.id)
    screen = shown.screenshot()
    rows = (screen.pixels[(y * screen.width + head.x) * 4 :][: head.width * 4] for y in range(head.y, head.box.bottom))
    return b"".join(rows)


def shown_first_head(wire: Wire, shown: Display) -> bytes:
    """The same as the client has it."""
    canvas = wire.lines[DISPLAY, shown.id].painter.primary
    if not wire.session.level.has(Feature.MONITORS_CONFIG):
        return canvas.pixels  # the head is all there is
    head = min(shown.heads, key=lambda each: each.id)
    return b"".join(bytes(row[head.x * 4 : head.box.right * 4]) for row in canvas.rows[head.y : head.box.bottom])


@pytest.mark.parametrize("client", CLIENTS)
@given(script=st.lists(steps(), max_size=40))
@settings(max_examples=25)
def test_every_level_shows_the_first_head(client: str, script: list[Step]) -> None:
    for level in LEVELS:
        wire = run(level, client, script)
        displays = wire.session.guest.displays
        shown = sorted(number for kind, number in wire.lines if kind is DISPLAY)
        assert shown == ([0] if level in ("0.4", "0.6") else [0, 1])
        for number in shown:
            assert shown_first_head(wire, displays[number]) == first_head(displays[number]), level
            assert wire.lines[ChannelType.DISPLAY, number].painter.marked
        assert findings(wire, level) == []


#: A script that uses all that the gates are about.
EVERYTHING: list[Step] = [
    ("create", (0, 0, 19, 19), 0, 0, 2),
    ("blit", (1, 1, 12, 12), 1, 0, 2),
    ("copy_surface", (0, 0, 12, 12), 0, 1, 2),
    ("heads", (0, 0, 20, 10), 0, 3, 2),
    ("cursor", (0, 0, 0, 0), 0, 0, 3),
    ("fill", (0, 0, 9, 9), 0, 0, 7),
    ("resize", (0, 0, 39, 29), 0, 0, 2),
    ("sync", (0, 0, 0, 0), 0, 0, 1),
]

#: Features whose gate this server's streams can pass by now; the others' messages are still to be sent.
IN_USE = {
    Feature.SURFACES: "SURFACES",
    Feature.MULTI_DISPLAY_CHANNELS: "MULTI_DISPLAY_CHANNELS",
    Feature.MONITORS_CONFIG: "MONITORS_CONFIG",
    Feature.AUTH_SELECTION: "AUTH_SPICE",
    Feature.SEMI_SEAMLESS_MIGRATE: "SEMI_SEAMLESS_MIGRATE",
    Feature.MINI_HEADER: "MINI_HEADER",
    Feature.NAME_AND_UUID: "main.Name",
    Feature.SEAMLESS_MIGRATE: "SEAMLESS_MIGRATE",
    Feature.KEY_SCANCODE: "KEY_SCANCODE",
    Feature.VOLUME: "VOLUME",
    Feature.CHANNEL_PINGS: "base.Ping",
    Feature.STREAM_REPORT: "STREAM_REPORT",
    Feature.OPUS: "OPUS",
    Feature.PREF_COMPRESSION: "PREF_COMPRESSION",
    Feature.PREF_VIDEO_CODEC_TYPE: "PREF_VIDEO_CODEC_TYPE",
    Feature.OWN_MAIN_WORDS: "AGENT_CONNECTED_TOKENS",
}


@pytest.mark.parametrize(
    ("level", "feature"),
    [(level, feature) for level in LEVELS for feature in IN_USE if not level_of(level).has(feature)],
    ids=lambda value: value.name if isinstance(value, Feature) else value,
)
def test_a_gate_taken_out_is_noticed(level: str, feature: Feature) -> None:
    """The gates all ask the level; one that has the feature is a level without that gate."""
    wire = run(Level(level_of(level).features | feature), "spice-gtk-0.42", EVERYTHING)
    found = findings(wire, level)
    assert any(IN_USE[feature] in each for each in found), found


@pytest.mark.parametrize("feature", [each for each in Feature if each is not Feature.PROTOCOL_MAJOR2])
@pytest.mark.parametrize("level", ["0.4", "0.8.3", "0.15.1"])
@pytest.mark.parametrize("client", ["spicec-0.8", "spice-gtk-0.42"])
def test_any_feature_more_or_less_makes_a_level_of_its_own(level: str, feature: Feature, client: str) -> None:
    made = changed(level_of(level), f"{'-' if level_of(level).has(feature) else '+'}{feature.name}")
    wire = run(made, client, EVERYTHING)
    assert findings(wire, made) == []


@pytest.mark.parametrize("client", CLIENTS)
def test_what_0_8_brings_is_seen_at_0_8_3_by_those_who_asked_for_it_alone(client: str) -> None:
    found = findings(run("0.8", client, EVERYTHING), "0.8.3")
    if client != "spice-gtk-0.42":
        assert found == []
        return
    needs = {"offered": "DisplayCap.MONITORS_CONFIG is offered", "sent": "display.MonitorsConfig needs MONITORS_CONFIG"}
    counts = {what: sum(text in each for each in found) for what, text in needs.items()}
    sent = sum(isinstance(each, display.MonitorsConfig) for each in shown_to("0.8", client))
    assert counts == {"offered": 2, "sent": sent}
    assert len(found) == 2 + sent


def shown_to(level: str, client: str) -> list[Message]:
    """What the display channels of that stream send."""
    lines = run(level, client, EVERYTHING).lines.values()
    return [message for line in lines if line.kind is DISPLAY for message in line.conversation.received]
