"""What both servers say of a migration to a real client, held to the rules of each one's level."""

from __future__ import annotations

import asyncio

import pytest

from spiceemu import SpiceServer
from spiceemu.events import MigrationBegan
from spiceemu.judge.finding import Finding
from spiceemu.judge.stream import StreamJudge
from spiceemu.protocol.levels.level import Level, MigrationScheme
from spiceemu.sessions.destination import Destination

from .clients import GtkClient
from .emulator import StartClient, draw_everything, leave, picture_of, whole
from .recorder import CLIENT, Recorder, recording
from .waiting import eventually

SEMI, SEAMLESS, SWITCH_HOST = MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS, MigrationScheme.SWITCH_HOST
A, B = 0x1E, 0x30


def findings(recorder: Recorder, level: Level) -> list[Finding]:
    """What the judge finds in all that passed."""
    judge = StreamJudge(level)
    connections = [judge.connection(f"{number:03}") for number in range(len(recorder.connections))]
    found: list[Finding] = []
    for number, side, data in recorder.passed:
        connection = connections[number]
        found += connection.client_data(data) if side == CLIENT else connection.server_data(data)
    assert judge.messages
    return [finding for finding in found + judge.finish() if not is_of_spice_gtk(finding)]


def is_of_spice_gtk(finding: Finding) -> bool:
    """Whether it is the serial that spice-gtk has given a message long before it sends it, migration or not."""
    return finding.direction == CLIENT and finding.name.startswith("serial ")


@pytest.mark.parametrize(
    ("source_level", "target_level", "scheme"),
    [
        ("0.4", "0.4", SWITCH_HOST),
        ("0.6", "0.8", SWITCH_HOST),
        ("0.8", "0.15.1", SWITCH_HOST),
        ("0.8.3", "0.8.3", SEMI),
        ("0.10", "0.15.1", SEMI),
        ("0.15.1", "0.10.1", SEMI),
        ("0.12", "0.12", SEAMLESS),
        ("0.15.1", "0.12", SEAMLESS),
        ("0.14.2", "0.15.1", SEAMLESS),
        ("0.15.1", "0.15.1", SEAMLESS),
    ],
)
async def test_both_sides_keep_to_their_level(
    gtk_client: StartClient, source_level: str, target_level: str, scheme: MigrationScheme
) -> None:
    surfaces = source_level != "0.4"
    async with (
        SpiceServer(compat=source_level, displays=[(640, 480)]) as source,
        SpiceServer(compat=target_level, displays=[(640, 480)]) as target,
        recording(source.port or 0) as here,
        recording(target.port or 0) as there,
    ):
        screen = source.displays[0]
        draw_everything(screen)
        if surfaces:
            screen.create_surface(30, 30)
            screen.copy_surface(1, (0, 0, 30, 30), (3, 3))
        source.guest.clipboard.set_text("text")
        client = await gtk_client(port=here.port)
        await client.ready()
        session = await whole(source)
        await client.type(A, B)
        await session.synced()
        target.expect_guest()

        async def deliver(snapshot: bytes) -> None:
            target.receive_guest(snapshot)

        move = asyncio.get_running_loop().create_task(
            source.migrate_to(Destination("127.0.0.1", there.port), deliver=deliver)
        )
        await session.expect(MigrationBegan)
        draw_everything(screen, seed=2)  # while the client links the target
        source.guest.cursor.move(9, 9)
        if scheme is not SWITCH_HOST:  # which leaves no such moment
            await client.type(A, B)
        assert [(each.scheme, each.followed) for each in await move] == [(scheme, True)]

        arrived = await whole(target)
        draw_everything(target.displays[0], seed=3)
        if surfaces:
            target.displays[0].copy_surface(1, (0, 0, 30, 30), (200, 3))
        target.guest.cursor.move(19, 9)
        await arrived.synced()
        await client.shows(picture_of(target.displays[0]))
        await eventually(lambda: has_inputs(client), lambda: "no inputs channel")
        await client.type(A, B)
        await leave(client, arrived)
        source_rules, target_rules = source.level, target.level
    assert findings(here, source_rules) == []
    assert findings(there, target_rules) == []


async def has_inputs(client: GtkClient) -> bool:
    return ["inputs", 0] in (await client.command("state"))["channels"]
