"""The probe against the real server: it is named, and ours is told from it by nothing."""

from __future__ import annotations

import ssl

import pytest

from spiceemu import SpiceServer
from spiceemu.errors import PermissionDenied
from spiceemu.probing.likeness import ACCEPTED
from spiceemu.probing.probe import probe
from spiceemu.protocol.capabilities import ChannelType

from .certificates import Certificates
from .conftest import PASSWORD
from .qemu import Qemu, running_qemu

HOST = "127.0.0.1"

PROBES = 30
"""In a row: a client that left without care would have crashed QEMU in one of ten."""

EVERYTHING = (
    *("-device", "qxl", "-device", "virtio-serial"),
    *("-audiodev", "spice,id=sound", "-device", "intel-hda", "-device", "hda-duplex,audiodev=sound"),
    *("-device", "qemu-xhci", "-chardev", "spicevmc,id=usb,name=usbredir", "-device", "usb-redir,chardev=usb"),
    *("-chardev", "spiceport,id=port,name=org.example.port.0", "-device", "virtserialport,chardev=port"),
    *("-chardev", "spiceport,id=dav,name=org.spice-space.webdav.0", "-device", "virtserialport,chardev=dav"),
)
"""A device for every channel but smartcard, which Debian's QEMU has in another package; and a second display."""


async def test_the_real_server_is_named_and_ours_is_told_from_it_by_nothing(qemu: Qemu) -> None:
    real = await probe(HOST, qemu.port)
    assert real.exact == ("0.15.1", "0.15")
    async with SpiceServer(sound=False) as server:
        ours = await probe(HOST, server.port)
    assert ours == real


async def test_the_same_with_a_password_and_over_tls(secured_qemu: Qemu, certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=certificates.authority)
    real = await probe(HOST, secured_qemu.port, password=PASSWORD)
    assert real.exact == ("0.15.1", "0.15")
    assert real.asks_password
    assert await probe(HOST, secured_qemu.tls_port, tls=context, password=PASSWORD) == real
    async with SpiceServer(password=PASSWORD, sound=False) as server:
        assert await probe(HOST, server.port, password=PASSWORD) == real


async def test_a_probe_does_the_real_server_no_harm(qemu: Qemu) -> None:
    for _ in range(PROBES):
        assert (await probe(HOST, qemu.port)).exact[0] == "0.15.1"
    assert qemu.command("query-status")["running"]


@pytest.mark.parametrize("password", ["", "wrong"])
async def test_the_real_server_wants_its_password(secured_qemu: Qemu, password: str) -> None:
    with pytest.raises(PermissionDenied, match="PERMISSION_DENIED in the result"):
        await probe(HOST, secured_qemu.port, password=password)


async def test_every_channel_of_the_real_server() -> None:
    with running_qemu(devices=EVERYTHING) as qemu:
        real = await probe(HOST, qemu.port)
    kinds = {channel.type for channel in real.channels if channel.answer.outcome == ACCEPTED}
    assert kinds == set(ChannelType) - {ChannelType.TUNNEL, ChannelType.SMARTCARD}
    assert real.exact == ("0.15.1", "0.15")
