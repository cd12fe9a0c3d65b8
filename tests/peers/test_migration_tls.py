"""A real client moved from one TLS server to another, which it knows by its certificate's subject or by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from spiceemu import SpiceServer, Tls
from spiceemu.events import ClientArrived, Disconnected, MigrationFailed
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.messages import main
from spiceemu.protocol.messages.message import Message
from spiceemu.serving.tls import server_context, throwaway_certificate

from .certificates import Certificates
from .clients import WARNINGS_OF_DISTRUST
from .emulator import StartClient, draw_everything, picture_of, whole

SEMI, SEAMLESS, SWITCH_HOST = MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS, MigrationScheme.SWITCH_HOST
LEVELS = {SWITCH_HOST: "0.8", SEMI: "0.10", SEAMLESS: "0.15.1"}
SIZE = (320, 200)
SUBJECT = "CN=localhost"
TLS_FAILED = 21

#: What spice-gtk prints of a certificate for somebody else, besides that it does not trust it.
WARNINGS_OF_ANOTHER_SUBJECT = (
    r"Spice-WARNING: .*:openssl_verify: ssl: subject 'CN=another' verification failed",
    r"Spice-WARNING: .*:openssl_verify: ssl: verification failed",
)


def tls_server(
    certificates: Certificates, *, plain: bool = False, subject: str = "", compat: str = "0.15.1"
) -> SpiceServer:
    return SpiceServer(
        displays=[SIZE],
        port=0 if plain else None,
        tls=Tls(server_context(certificates.certificate, certificates.key), subject=subject),
        compat=compat,
    )


@pytest.mark.parametrize("subject", [SUBJECT, ""], ids=["by its subject", "by its name"])
@pytest.mark.parametrize("plain", [False, True], ids=["TLS only", "both ports"])
@pytest.mark.parametrize("scheme", LEVELS, ids=lambda scheme: scheme.name)
async def test_a_client_follows_over_tls(
    gtk_client: StartClient, certificates: Certificates, scheme: MigrationScheme, plain: bool, subject: str
) -> None:
    async with (
        tls_server(certificates, compat=LEVELS[scheme]) as source,
        tls_server(certificates, plain=plain, subject=subject) as target,
    ):
        draw_everything(source.displays[0])
        client = await gtk_client(tls_port=source.tls_port, ca_file=certificates.authority)
        await client.ready()
        session = await whole(source)
        await client.shows(picture_of(source.displays[0]))
        moved = await source.migrate_to(target)
        assert moved == [(session.session_id, scheme, True)]
        arrived = await whole(target)
        assert all(channel.secure for channel in arrived._member.session.channels.values())
        target.displays[0].fill((9, 9, 50, 50), "red")
        await arrived.synced()
        await client.shows(picture_of(target.displays[0]))
        await client.command("disconnect")
        await client.event("disconnected")


@pytest.mark.parametrize("scheme", LEVELS, ids=lambda scheme: scheme.name)
async def test_a_client_does_not_follow_to_another_subject(
    gtk_client: StartClient, certificates: Certificates, scheme: MigrationScheme
) -> None:
    """It says that it cannot, is sent there for good, as real servers do it, and does not go: it is lost."""
    async with tls_server(certificates, compat=LEVELS[scheme]) as source, tls_server(certificates) as target:
        client = await gtk_client(tls_port=source.tls_port, ca_file=certificates.authority)
        client.expected_warnings += [*WARNINGS_OF_DISTRUST, *WARNINGS_OF_ANOTHER_SUBJECT]
        await client.ready()
        session = await whole(source)
        moved = await source.migrate_to(target, cert_subject="CN=another")
        assert moved == [(session.session_id, SWITCH_HOST, True)]
        await session.expect(Disconnected)
        await client.event("error", type="main", code=TLS_FAILED)
        assert list(target._core.roster) == []
        failures = [event.text for event in session.events if isinstance(event, MigrationFailed)]
        if scheme is SWITCH_HOST:  # at this level a client is not asked before
            assert failures == []
        else:
            (text,) = failures
            assert text.startswith("the client cannot link the other server: ")
            assert "certificate" in text


async def test_the_subject_of_a_throw_away_certificate_is_known(gtk_client: StartClient, tmp_path: Path) -> None:
    """A client then takes a server for its subject, whatever its address."""
    made = throwaway_certificate(tmp_path, ("a.name.of.its.own", "127.0.0.1"))
    context = server_context(made.certificate, made.key)
    async with (
        SpiceServer(port=None, tls=Tls(context), displays=[SIZE]) as source,
        SpiceServer(port=None, tls=Tls(context, subject=made.subject), displays=[SIZE]) as target,
    ):
        client = await gtk_client(tls_port=source.tls_port, ca_file=made.ca)
        await client.ready()
        session = await whole(source)
        sent: list[Message] = []
        send = session._member.session.main.send
        session._member.session.main.send = lambda message, **options: (sent.append(message), send(message, **options))  # type: ignore[method-assign]
        ((_, scheme, followed),) = await source.migrate_to(target)
        assert (scheme, followed) == (SEAMLESS, True)
        await (await whole(target)).expect(ClientArrived(SEAMLESS))
        begin = next(message for message in sent if isinstance(message, main.MigrateBeginSeamless))
        assert begin.dst_info.cert_subject_data == b"CN=a.name.of.its.own\0"
        await client.command("disconnect")
        await client.event("disconnected")
