"""TLS with real clients: the throw-away certificate, channels that want it, and everything that travels over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from spiceemu import ClipboardText, KeyUp, SpiceServer, Tls
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.serving.tls import ThrowawayCertificate, server_context, throwaway_certificate

from .clients import WARNINGS_OF_DISTRUST, spicy_screenshot
from .emulator import (
    CHANNELS,
    StartClient,
    StartViewer,
    check_pixels,
    connected,
    draw_everything,
    in_step,
    picture_of,
    whole,
)
from .screen import write_vv

CONNECTION_FAILED, TLS_FAILED = 20, 21

#: What spice-gtk prints of a certificate for somebody else, besides that it does not trust it.
WARNINGS_OF_ANOTHER_SUBJECT = (
    r"Spice-WARNING: .*:openssl_verify: ssl: subject 'CN=another' verification failed",
    r"Spice-WARNING: .*:openssl_verify: ssl: verification failed",
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCertificate:
    return throwaway_certificate(tmp_path_factory.mktemp("throwaway"))


def tls_server(certificate: ThrowawayCertificate, **options: object) -> SpiceServer:
    """A server with a TLS port, and no other unless asked for."""
    context = server_context(certificate.certificate, certificate.key)
    tls = Tls(context, channels=options.pop("tls_channels", ()))  # type: ignore[arg-type]
    return SpiceServer(**{"port": None, "tls": tls, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("compression", ["off", "lz"])
async def test_everything_travels_over_tls(
    gtk_client: StartClient, certificate: ThrowawayCertificate, compression: str
) -> None:
    async with tls_server(certificate, compression=compression) as server:
        (display,) = server.displays
        draw_everything(display)
        screenshot = await spicy_screenshot(tls_port=server.tls_port, ca_file=certificate.ca)
        check_pixels(screenshot.picture, display, "spicy-screenshot")
        client = await gtk_client(tls_port=server.tls_port, ca_file=certificate.ca)
        await client.ready()
        session = await connected(server)
        await in_step(client, session)
        check_pixels(await client.screenshot(), display, "drawn before the client came")
        draw_everything(display, 2)
        display.resize(1920, 1080)
        draw_everything(display, 3)
        await in_step(client, session)
        check_pixels(await client.screenshot(), display, "drawn after the client came")

        await client.event("main-agent-update", connected=True)
        text = "a long text " * 10_000
        server.guest.clipboard.set_text(text)
        assert await client.fetch_text() == text
        await client.offer_text(text)
        await session.expect(ClipboardText(text))
        await client.type(*range(0x10, 0x30))
        await session.expect(KeyUp(0x2F))


@pytest.mark.parametrize("subject", [True, False])
async def test_a_subject_that_is_not_the_certificates(
    gtk_client: StartClient, certificate: ThrowawayCertificate, subject: bool
) -> None:
    async with tls_server(certificate) as server:
        right = {"tls_port": server.tls_port, "ca_file": certificate.ca, "cert_subject": certificate.subject}
        client = await gtk_client(**right)
        await client.ready()
        wrong = {"cert_subject": "CN=another"} if subject else {"ca_file": certificate.certificate}
        client = await gtk_client(**{**right, **wrong})
        client.expected_warnings += WARNINGS_OF_DISTRUST + WARNINGS_OF_ANOTHER_SUBJECT
        await client.event("error", type="main", code=TLS_FAILED)


@pytest.mark.parametrize("names", [["inputs"], ["main"], ["display", "inputs"], ["all"]], ids=",".join)
async def test_channels_that_want_tls_are_connected_again_with_it(
    gtk_client: StartClient, certificate: ThrowawayCertificate, names: list[str]
) -> None:
    async with tls_server(certificate, port=0, tls_channels=names) as server:
        client = await gtk_client(port=server.port, tls_port=server.tls_port, ca_file=certificate.ca)
        await client.ready()
        session = await server.wait_client()
        wanted = {name: name in names or names == ["all"] for name in CHANNELS}
        assert {name: session._member.session.channel(kind).secure for name, kind in CHANNELS.items()} == wanted
        draw_everything(server.displays[0])
        await session.synced()
        check_pixels(await client.screenshot(), server.displays[0])


async def test_channels_that_want_no_tls(gtk_client: StartClient, certificate: ThrowawayCertificate) -> None:
    async with tls_server(certificate, port=0, tls_channels=["main"], plain_channels=["display"]) as server:
        client = await gtk_client(port=server.port, tls_port=server.tls_port, ca_file=certificate.ca)
        await client.ready()
        session = await server.wait_client()
        assert session._member.session.main.secure
        assert not session._member.session.channel(ChannelType.DISPLAY).secure


async def test_a_client_without_tls_where_it_is_wanted(
    gtk_client: StartClient, certificate: ThrowawayCertificate
) -> None:
    async with tls_server(certificate, port=0, tls_channels=["all"]) as server:
        client = await gtk_client(port=server.port)
        await client.event("error", type="main", code=CONNECTION_FAILED)
        assert (await spicy_screenshot(port=server.port)).channel_event == CONNECTION_FAILED
        assert server.clients == []


@pytest.mark.parametrize("how", ["file", "file with the subject", "options"])
async def test_remote_viewer(
    remote_viewer: StartViewer, certificate: ThrowawayCertificate, tmp_path: Path, how: str
) -> None:
    async with tls_server(certificate, title="Guest behind TLS") as server:
        (display,) = server.displays
        draw_everything(display)
        if how == "options":
            options = [f"--spice-ca-file={certificate.ca}", f"--spice-host-subject={certificate.subject}"]
            viewer = await remote_viewer(server.uri, *options)
        else:
            subject = {"host_subject": certificate.subject} if "subject" in how else {}
            file = tmp_path / "guest.vv"
            write_vv(file, tls_port=server.tls_port or 0, authority=certificate.ca, **subject)
            viewer = await remote_viewer(file)
        await viewer.shows(picture_of(display))
        await viewer.window("Guest behind TLS")
        await whole(server, sound=True)


async def test_remote_viewer_is_sent_from_the_plain_port_to_the_other(
    remote_viewer: StartViewer, certificate: ThrowawayCertificate, tmp_path: Path
) -> None:
    async with tls_server(certificate, port=0, tls_channels=["all"]) as server:
        (display,) = server.displays
        draw_everything(display)
        file = tmp_path / "guest.vv"
        write_vv(file, port=server.port or 0, tls_port=server.tls_port or 0, authority=certificate.ca)
        viewer = await remote_viewer(file)
        await viewer.shows(picture_of(display))
        assert all(channel.secure for channel in (await whole(server, sound=True))._member.session.channels.values())
