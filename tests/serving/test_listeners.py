"""Listening sockets and the addresses they are reached at."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from spiceemu.errors import AddressUnavailable, InvalidValue
from spiceemu.serving import listeners
from spiceemu.serving.listeners import (
    close_all,
    is_loopback,
    listen_tcp,
    listen_unix,
    remove_files,
    show_address,
    uri_of,
)

NOT_OURS = "192.0.2.1"
"""An address for documentation: no machine has it."""

unix_only = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets")


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """Sockets to close at the end."""
    sockets: list[socket.socket] = []
    yield sockets
    for each in sockets:
        each.close()


def names_of(sockets: list[socket.socket]) -> list[tuple[object, ...]]:
    return [each.getsockname()[:2] for each in sockets]


def answering(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Let every name have these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in hosts]
    monkeypatch.setattr(listeners.socket, "getaddrinfo", lambda *_, **__: found)


# Ports


def test_any_free_port(opened: list[socket.socket]) -> None:
    opened += listen_tcp("127.0.0.1", 0)
    ((host, port),) = names_of(opened)
    assert host == "127.0.0.1"
    assert port
    assert not opened[0].getblocking()
    with socket.create_connection(("127.0.0.1", opened[0].getsockname()[1]), timeout=5):
        pass


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist(port: int) -> None:
    with pytest.raises(InvalidValue, match=f"port {port} is not within 0 and 65535"):
        listen_tcp("127.0.0.1", port)


def test_a_port_in_use(opened: list[socket.socket]) -> None:
    opened += listen_tcp("127.0.0.1", 0)
    port = opened[0].getsockname()[1]
    with pytest.raises(AddressUnavailable, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        listen_tcp("127.0.0.1", port)


def test_all_addresses_of_a_name_share_one_port(opened: list[socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "127.0.0.1", "127.0.0.2", "127.0.0.1")
    opened += listen_tcp("some.name", 0)
    port = opened[0].getsockname()[1]
    assert names_of(opened) == [("127.0.0.1", port), ("127.0.0.2", port)]


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(AddressUnavailable, match=rf"cannot listen on {NOT_OURS}:0: "):
        listen_tcp(NOT_OURS, 0)


@pytest.mark.parametrize("hosts", [("127.0.0.1", NOT_OURS), (NOT_OURS, "127.0.0.1")])
def test_of_several_addresses_those_that_are_ours_will_do(
    opened: list[socket.socket], monkeypatch: pytest.MonkeyPatch, hosts: tuple[str, ...]
) -> None:
    answering(monkeypatch, *hosts)
    opened += listen_tcp("localhost", 0)
    assert [name for name, _ in names_of(opened)] == ["127.0.0.1"]


def test_nothing_stays_open_if_one_of_them_is_in_use(
    opened: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened += listen_tcp("127.0.0.2", 0)
    port = opened[0].getsockname()[1]
    answering(monkeypatch, "127.0.0.3", "127.0.0.2")  # not 127.0.0.1: other tests' clients come from its ports
    with pytest.raises(AddressUnavailable, match="in use"):
        listen_tcp("some.name", port)
    with socket.socket() as again:
        again.bind(("127.0.0.3", port))


@pytest.mark.parametrize("name", ["\udcff", "ü" * 64])
def test_a_name_that_none_can_have(name: str) -> None:
    with pytest.raises(AddressUnavailable, match=r"cannot listen on .* it is no host's name"):
        listen_tcp(name, 0)


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(listeners.socket, "getaddrinfo", unknown)
    with pytest.raises(AddressUnavailable, match=r"cannot listen on 'no\.such\.host': Name or service not known"):
        listen_tcp("no.such.host", 0)


def test_an_empty_host_is_every_address(opened: list[socket.socket]) -> None:
    opened += listen_tcp("", 0)
    assert ("0.0.0.0", opened[0].getsockname()[1]) in names_of(opened)


# Unix sockets


@unix_only
def test_a_unix_socket_and_its_file(tmp_path: Path) -> None:
    path = tmp_path / "spice.sock"
    made = listen_unix(str(path))
    assert not made.getblocking()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    close_all([made])
    assert not path.exists()
    close_all([made])


@unix_only
def test_a_file_that_was_taken_away_is_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "spice.sock"
    made = listen_unix(str(path))
    path.unlink()
    remove_files([made])
    close_all([made])


@unix_only
def test_a_path_that_another_server_has_taken_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "spice.sock"
    first = listen_unix(str(path))
    path.unlink()
    second = listen_unix(str(path))
    close_all([first])
    assert path.exists()
    close_all([second])
    assert not path.exists()


@unix_only
def test_a_file_that_somebody_else_made_is_theirs_to_remove(tmp_path: Path) -> None:
    path = tmp_path / "spice.sock"
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(str(path))
        close_all([given])
    assert path.exists()


@unix_only
def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "spice.sock"
    listen_unix(str(path)).close()
    assert path.exists()
    close_all([listen_unix(str(path))])


@unix_only
@pytest.mark.parametrize("backlog", [0, 5])
def test_a_socket_in_use_is_left_alone(tmp_path: Path, backlog: int) -> None:
    path = tmp_path / "spice.sock"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(str(path))
        server.listen(backlog)
        waiting.connect(str(path))  # with a backlog of 0 this is the last that fits: another one would wait
        with pytest.raises(AddressUnavailable, match=rf"cannot listen on {path}: "):
            listen_unix(str(path))
        assert path.exists()


@unix_only
def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary")
    with pytest.raises(AddressUnavailable, match=r"notes\.txt: Address already in use"):
        listen_unix(str(path))
    assert path.read_text() == "dear diary"


@unix_only
@pytest.mark.parametrize("path", ["missing/spice.sock", "x" * 200])
def test_a_path_that_cannot_be(tmp_path: Path, path: str) -> None:
    with pytest.raises(AddressUnavailable, match="cannot listen on "):
        listen_unix(str(tmp_path / path))


# Addresses


@pytest.mark.parametrize(
    ("host", "port", "tls_port", "path", "uri"),
    [
        ("127.0.0.1", 5930, None, None, "spice://127.0.0.1:5930"),
        ("127.0.0.1", 5930, 5931, None, "spice://127.0.0.1:5930?tls-port=5931"),
        ("127.0.0.1", None, 5931, None, "spice://127.0.0.1?tls-port=5931"),
        ("::1", 5930, None, None, "spice://[::1]:5930"),
        ("::1", None, 5931, None, "spice://[::1]?tls-port=5931"),
        ("::", 5930, 1, None, "spice://[::1]:5930?tls-port=1"),
        ("0.0.0.0", 5930, None, None, "spice://127.0.0.1:5930"),
        ("", None, 5931, None, "spice://127.0.0.1?tls-port=5931"),
        ("localhost", 5930, None, "/run/spice", "spice://localhost:5930"),
        ("127.0.0.1", None, None, "/run/spice", "spice+unix:///run/spice"),
    ],
)
def test_uris(host: str, port: int | None, tls_port: int | None, path: str | None, uri: str) -> None:
    assert uri_of(host, port, tls_port, path) == uri


def test_a_unix_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert uri_of("127.0.0.1", None, None, "spice.sock") == f"spice+unix://{tmp_path}/spice.sock"


@pytest.mark.parametrize(
    ("host", "shown"), [("::1", "[::1]:7"), ("10.0.0.1", "10.0.0.1:7"), ("::", "[::1]:7"), ("", "127.0.0.1:7")]
)
def test_addresses_are_shown_as_clients_reach_them(host: str, shown: str) -> None:
    assert show_address(host, 7) == shown


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.1", False),
        ("127.0.0.1.nip.io", False),
        ("127.example.com", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
