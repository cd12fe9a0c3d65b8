"""How real clients are let in and refused: passwords, TLS, one client after another, a server that ends."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import pytest

from spiceemu import SpiceServer, Tls

from .certificates import Certificates
from .clients import WARNINGS_OF_DISTRUST, GtkClient, spicy_screenshot
from .conftest import PASSWORD
from .emulator import in_step, whole

StartClient = Callable[..., Awaitable[GtkClient]]

CONNECTION_FAILED, TLS_FAILED, PASSWORD_REFUSED = 20, 21, 23
ALL_CHANNELS = {"main", "display", "inputs", "cursor"}


@pytest.fixture
def tls(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


@pytest.mark.parametrize("password", [None, "wrong", PASSWORD + "!"])
async def test_wrong_password(gtk_client: StartClient, password: str | None) -> None:
    async with SpiceServer(password=PASSWORD) as server:
        screenshot = await spicy_screenshot(port=server.port, password=password)
        client = await gtk_client(port=server.port, **({"password": password} if password else {}))
        await client.event("error", type="main", code=PASSWORD_REFUSED)
    assert (screenshot.exit_code, screenshot.picture, screenshot.channel_event) == (1, None, PASSWORD_REFUSED)


async def test_right_password(gtk_client: StartClient) -> None:
    async with SpiceServer(password=PASSWORD) as server:
        assert (await spicy_screenshot(port=server.port, password=PASSWORD)).exit_code == 0
        client = await gtk_client(port=server.port, password=PASSWORD)
        await client.ready()


async def test_tls(gtk_client: StartClient, certificates: Certificates, tls: ssl.SSLContext) -> None:
    async with SpiceServer(port=None, tls=Tls(tls), password=PASSWORD) as server:
        trusted = {"tls_port": server.tls_port, "password": PASSWORD, "ca_file": certificates.authority}
        screenshot = await spicy_screenshot(**trusted)  # type: ignore[arg-type]
        client = await gtk_client(**trusted)
        await client.ready()
        session = await server.wait_client()
        while not session.connected:
            session = await server.wait_client()
        server.displays[0].fill((0, 0, 1024, 768), 0x123456)
        await session.synced()
        picture = await client.screenshot()
    assert screenshot.exit_code == 0
    assert picture.pixel(1023, 767) == 0x123456


async def test_tls_of_an_unknown_authority(gtk_client: StartClient, tls: ssl.SSLContext) -> None:
    async with SpiceServer(port=None, tls=Tls(tls)) as server:
        client = await gtk_client(tls_port=server.tls_port)
        client.expected_warnings += WARNINGS_OF_DISTRUST
        await client.event("error", type="main", code=TLS_FAILED)
        assert (await spicy_screenshot(tls_port=server.tls_port)).channel_event == TLS_FAILED


async def test_a_second_client_takes_the_place_of_the_first(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        first = await gtk_client(port=server.port)
        await first.ready()
        second = await gtk_client(port=server.port)
        for channel in ALL_CHANNELS:
            await first.event("closed", type=channel)
        await second.ready()
    assert [event for event in first.events if event["event"] == "error"] == []


async def test_a_server_that_ends_closes_every_channel_and_breaks_none(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client = await gtk_client(port=server.port)
        session = await whole(server)
        await client.ready()
        await in_step(client, session)  # one that is not done with its beginnings complains
    for channel in ALL_CHANNELS:
        await client.event("closed", type=channel)
    assert [event for event in client.events if event["event"] == "error"] == []
    assert (await spicy_screenshot(port=server.port)).channel_event == CONNECTION_FAILED
