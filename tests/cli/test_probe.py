"""``spiceemu probe`` as its users meet it: what it prints, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from spiceemu.cli import main
from spiceemu.protocol.levels.level import CURRENT, LEVELS, changed
from spiceemu.serving.tls import server_context, throwaway_certificate

from ..server.servers import LevelServer, serving_level

HOST = "127.0.0.1"


class Answer(NamedTuple):
    code: int
    out: str
    err: str


async def run(*arguments: str, password: str | None = None) -> Answer:
    """Run the command as a process, so that a server in this one can answer it."""
    environment = {"PATH": "", "PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"}
    if password is not None:
        environment["SPICEEMU_PASSWORD"] = password
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "spiceemu", "probe", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    out, err = await process.communicate()
    return Answer(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def server() -> AsyncIterator[LevelServer]:
    async with serving_level(LEVELS["0.8.3"]) as made:
        yield made


async def test_an_exact_match(server: LevelServer) -> None:
    address = f"{HOST}:{server.port}"
    answer = await run(address)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0] == f"{address} behaves like 0.8.3 exactly"
    assert "protocol 2.1, full headers, no password" in lines
    assert "  every channel   0x3      PROTOCOL_AUTH_SELECTION AUTH_SPICE" in lines
    assert "  display:0       none" in lines
    assert "  a display that is not there        CHANNEL_NOT_AVAILABLE in the result" in lines
    assert "which is not listed" not in answer.out


async def test_several_exact_matches() -> None:
    async with serving_level(CURRENT) as server:
        answer = await run(f"spice://{HOST}:{server.port}")
    assert answer.code == 0
    assert answer.out.startswith(f"{HOST}:{server.port} behaves like 0.15.1 exactly; 0.15 would look the same\n")
    assert "  webdav:0, which is not listed      closed without a word\n" in answer.out


async def test_each_difference_is_a_line() -> None:
    async with serving_level(changed(CURRENT, "-KEY_SCANCODE,-STRICT_TICKET")) as server:
        answer = await run(f"{HOST}:{server.port}")
    assert answer.code == 1
    assert answer.out.split("\n\n")[0].splitlines() == [
        f"{HOST}:{server.port} behaves like no level exactly; the nearest is 0.15.1, with 2 differences:",
        "  capabilities of inputs:0: none (-KEY_SCANCODE), in 0.15.1 0x1",
        "  a ticket that does not decrypt: BAD_CONNECTION_ID in the result, in 0.15.1 PERMISSION_DENIED in the result",
    ]


async def test_json(server: LevelServer) -> None:
    answer = await run(f"{HOST}:{server.port}", "--json")
    found = json.loads(answer.out)
    assert (answer.code, answer.err) == (0, "")
    assert (found["exact"], found["nearest"], found["version"]) == (["0.8.3"], "0.8.3", [2, 1])
    assert (found["header"], found["asks_password"]) == ("full", False)
    assert found["differences"]["0.8.3"] == []
    assert found["differences"]["0.6.4"][0] == {"what": "protocol version", "measured": "2.1", "expected": "2.0"}
    assert set(found["differences"]) == set(LEVELS)
    assert found["channels"][0] == {
        "name": "main:0",
        "type": 1,
        "id": 0,
        "outcome": "accepted",
        "place": "accepted",
        "code": None,
        "version": [2, 1],
        "size": 186,
        "has_key": True,
        "common_words": [3],
        "channel_words": [1],
    }
    assert found["refusals"]["magic"]["outcome"] == "INVALID_MAGIC in the reply"


async def test_passwords(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\nmore\n")
    async with serving_level(LEVELS["0.12.8"], password="s3cret") as server:
        address = f"{HOST}:{server.port}"
        by_file = await run(address, "--password-file", str(file), password="wrong")
        by_variable = await run(address, password="s3cret")
        wrong = await run(address, password="wrong")
        no_utf8 = await run(address, password="\udcff")
        missing = await run(address)
    assert by_file == by_variable
    assert by_file.code == 0
    assert "mini headers, a password\n" in by_file.out
    assert (wrong.code, wrong.out) == (7, "")
    assert wrong.err == (
        f"spiceemu: {address}: it does not let us in, PERMISSION_DENIED in the result: the password is wrong\n"
    )
    assert no_utf8 == wrong
    assert missing.err.endswith("PERMISSION_DENIED in the result: it wants a password\n")


async def test_tls(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    made = throwaway_certificate(tmp_path)
    async with serving_level(CURRENT, tls=server_context(made.certificate, made.key)) as server:
        address = f"{HOST}:{server.port}"
        trusting = await run(address, "--tls", "--ca", str(made.ca))
        distrusting = await run(address, "--tls")
        plain = await run(address)
    assert trusting.code == 0
    assert (distrusting.code, distrusting.err.count("\n")) == (3, 1)
    assert distrusting.err.startswith(f"spiceemu: cannot connect to {address}: ")
    assert distrusting.err.endswith("; --ca names the authority to trust\n")
    assert (plain.code, plain.err.count("\n")) == (7, 1)
    assert "it is no SPICE server" in plain.err


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with serving_level(LEVELS["0.6"], unix_path=path):
        answer = await run("--unix", str(path))
    assert answer.code == 0
    assert answer.out.startswith(f"{path} behaves like 0.6.4 exactly; 0.6, 0.4 would look the same\n")


async def test_nobody_is_there(tmp_path: Path) -> None:
    answer = await run(f"{HOST}:1")
    assert answer == (3, "", f"spiceemu: cannot connect to {HOST}:1: Connection refused\n")
    answer = await run("--unix", str(tmp_path / "nobody"))
    assert answer.code == 3


async def test_a_server_that_stalls() -> None:
    left = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()
        left.set()

    listener = await asyncio.start_server(connected, HOST, 0)
    port = listener.sockets[0].getsockname()[1]
    answer = await run(f"{HOST}:{port}", "--timeout", "0.1")
    listener.close()
    await left.wait()
    assert answer == (7, "", f"spiceemu: {HOST}:{port}: no answer on the main channel in 0.1 s\n")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 2, "either HOST:PORT or --unix is needed"),
        (["localhost:1", "--unix", "x"], 2, "either HOST:PORT or --unix is needed"),
        (["spice+unix://socket"], 2, "'spice+unix://socket' is no address"),
        (["spice+unix:///socket", "--unix", "x"], 2, "either HOST:PORT or --unix is needed"),
        (["spice+unix:///socket", "--tls"], 2, "--unix does not go with --tls"),
        (["spice+unix:///nowhere/socket"], 3, "cannot connect to /nowhere/socket: No such file or directory"),
        (["localhost"], 2, "localhost is not HOST:PORT with a port from 1 to 65535"),
        (["localhost:0"], 2, "is not HOST:PORT"),
        (["x" * 64 + ":1"], 2, "is no host's name: its parts between dots have 1 to 63 printable characters"),
        (["\udcff:1"], 2, "'\\udcff' is no host's name"),
        (["localhost:65536"], 2, "is not HOST:PORT"),
        ([":5930"], 2, "is not HOST:PORT"),
        (["::1:5930"], 2, "is not HOST:PORT"),
        (["localhost:12345678901234567890"], 2, "is not HOST:PORT"),
        (["--unix", "x", "--tls"], 2, "--unix does not go with --tls or --ca"),
        (["localhost:1", "--timeout", "0"], 2, "--timeout 0 is not a number of seconds above 0 and up to 600"),
        (["localhost:1", "--timeout", "nan"], 2, "--timeout nan is not"),
        (["localhost:1", "--timeout", "x"], 2, "argument --timeout: invalid float value: 'x'"),
        (["localhost:1", "--ca", "/nonexistent"], 4, "cannot use --ca /nonexistent: No such file or directory"),
        (["localhost:1", "--password-file", "/nonexistent"], 6, "cannot read password file /nonexistent"),
        (["localhost:1", "--nonsense"], 2, "unrecognized arguments: --nonsense"),
    ],
)
def test_what_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, text: str
) -> None:
    monkeypatch.delenv("SPICEEMU_PASSWORD", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["probe", *arguments])
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (code, "")
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("spiceemu: ")
    assert text in captured.err


@pytest.mark.parametrize("password", ["x" * 61])
def test_a_password_that_fits_no_ticket(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("SPICEEMU_PASSWORD", password)
    with pytest.raises(SystemExit) as ended:
        main(["probe", "localhost:1"])
    assert ended.value.code == 2
    assert "61 bytes, at most 60" in capsys.readouterr().err


def test_the_help_warns(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["probe", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "REPLACES THE CLIENT THAT IS CONNECTED" in text
    assert "Exit codes\n  0  it behaves like a level exactly\n" in text
