"""Fixtures for tests with real clients and servers; README.md beside this file shows how to use them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .certificates import Certificates, make_certificates
from .clients import GtkClient
from .picture import Picture
from .qemu import Qemu, running_qemu
from .screen import RemoteViewer, Screen, running_screen

PASSWORD = "s3cret"


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say where two pictures differ rather than print them."""
    if op == "==" and isinstance(left, Picture) and isinstance(right, Picture):
        return [f"{left!r} == {right!r}", left.difference(right)]
    return None


@pytest.fixture
async def gtk_client() -> AsyncIterator[Callable[..., Awaitable[GtkClient]]]:
    """A function that starts a scripted spice-gtk client, connected if properties are given.

    When the test ends, a warning that is not among a client's ``expected_warnings`` fails it.
    """
    clients: list[GtkClient] = []
    async with contextlib.AsyncExitStack() as stack:

        async def start(**properties: Any) -> GtkClient:
            client = await stack.enter_async_context(GtkClient())
            clients.append(client)
            if properties:
                await client.connect(**properties)
            return client

        yield start
    assert [warning for client in clients for warning in client.unexpected_warnings] == []


@pytest.fixture(scope="session")
def _screen() -> Iterator[Screen]:
    with running_screen() as screen:
        yield screen


@pytest.fixture
async def xvfb(_screen: Screen) -> AsyncIterator[Screen]:
    """The X screen of this test process, as good as new."""
    await _screen.reset()
    yield _screen
    await _screen.reset()


@pytest.fixture
async def remote_viewer(xvfb: Screen) -> AsyncIterator[Callable[..., Awaitable[RemoteViewer]]]:
    """A function that starts remote-viewer on the screen: a URI or a .vv file, then options of its command line.

    When the test ends, a crash or a warning that is not among its ``expected_warnings`` fails it.
    """
    viewers: list[RemoteViewer] = []
    async with contextlib.AsyncExitStack() as stack:

        async def start(target: str | Path, *options: str) -> RemoteViewer:
            viewer = await stack.enter_async_context(RemoteViewer(xvfb, target, *options))
            viewers.append(viewer)
            return viewer

        yield start
    assert [warning for viewer in viewers for warning in viewer.unexpected_warnings] == []


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A throw-away authority and a server certificate signed by it."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def qemu() -> Iterator[Qemu]:
    """A real server without password."""
    with running_qemu() as server:
        yield server


@pytest.fixture(scope="session")
def secured_qemu(certificates: Certificates) -> Iterator[Qemu]:
    """A real server with the password ``PASSWORD`` and a TLS port besides the plain one."""
    with running_qemu(password=PASSWORD, certificates=certificates.folder) as server:
        yield server
