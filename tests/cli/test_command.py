"""``spiceemu serve`` as its users meet it: a process, its first line, its signals and its exit codes."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization

from spiceemu._version import __version__
from spiceemu.errors import NeedSecured, PermissionDenied
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.link.client import ClientLink
from spiceemu.serving.tls import ThrowawayCertificate, throwaway_certificate

COMMAND = (sys.executable, "-m", "spiceemu")
TIMEOUT = 30.0

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals end a process at once on Windows")


def environment(password: str | None = None) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if name != "SPICEEMU_PASSWORD"}
    return variables if password is None else {**variables, "SPICEEMU_PASSWORD": password}


class Serving:
    """A running ``spiceemu serve``; its first line was read."""

    def __init__(
        self, *options: str, password_variable: str | None = None, command: tuple[str, ...] = (*COMMAND, "serve")
    ) -> None:
        self.process = subprocess.Popen(
            [*command, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(password_variable),
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().rstrip("\n")
        self.rest_of_output = self.errors = ""
        if not self.first_line:
            self.stop()
            pytest.fail(f"no first line, exit code {self.process.returncode}:\n{self.errors}")

    @property
    def port(self) -> int:
        port = urlsplit(self.first_line).port
        assert port
        return port

    @property
    def tls_port(self) -> int:
        return int(parse_qs(urlsplit(self.first_line).query)["tls-port"][0])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        self.process.send_signal(how)
        self.rest_of_output, self.errors = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()


def serve(*options: str, password_variable: str | None = None) -> Serving:
    """Start on any free port, with a black screen."""
    return Serving("--port", "0", "--blank", *options, password_variable=password_variable)


def link(connection: socket.socket, password: str = "", channel: ChannelType = ChannelType.MAIN) -> ClientLink:
    """Link on a connection; raises what the server refuses with."""
    client = ClientLink(channel, password=password.encode(errors="surrogateescape"))
    while not client.linked:
        connection.sendall(client.data_to_send())
        received = connection.recv(65536)
        assert received, "the server closed the connection within the link"
        client.receive_data(received)
    return client


def link_to(port: int, password: str = "") -> ClientLink:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
        return link(connection, password)


def run(*arguments: str, before: str = "", password_variable: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command where it ends by itself; ``before`` is Python code that it runs first."""
    code = f"{before}\nimport sys\nfrom spiceemu.cli import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(password_variable),
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCertificate:
    return throwaway_certificate(tmp_path_factory.mktemp("certificate"))


# Listening


def test_the_first_line_is_an_address_that_answers() -> None:
    with serve() as serving:
        assert serving.first_line == f"spice://127.0.0.1:{serving.port}"
        assert link_to(serving.port).linked


def test_the_demo_desktop_gets_the_server() -> None:
    code = """
import asyncio, sys, types
from spiceemu.cli import main

async def run_demo(server):
    print("shown at", server.uri, *((each.width, each.height) for each in server.displays), flush=True)
    await asyncio.Event().wait()

sys.modules["spiceemu.desktop.demo"] = types.SimpleNamespace(run_demo=run_demo)
sys.exit(main(["serve", "--port=0", "--size=641x480"]))
"""
    with Serving(command=(sys.executable, "-c", code)) as serving:
        assert serving.process.stdout is not None
        assert serving.process.stdout.readline() == f"shown at {serving.first_line} (641, 480)\n"
        assert link_to(serving.port).linked
        assert serving.stop() == 0
        assert serving.errors == ""


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no unix sockets")
def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "spice"
    with Serving("--port", "none", "--unix", str(path), "--blank") as serving:
        assert serving.first_line == f"spice+unix://{path}"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            assert link(connection).linked
        assert serving.stop() == 0
        assert not path.exists()


def test_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    with serve("--host", "::1") as serving:
        assert serving.first_line == f"spice://[::1]:{serving.port}"
        with socket.create_connection(("::1", serving.port), TIMEOUT) as connection:
            assert link(connection).linked


def test_json(tmp_path: Path) -> None:
    connection_file = tmp_path / "spice.vv"
    with serve("--json", "--vv", str(connection_file)) as serving:
        told = json.loads(serving.first_line)
        assert told == {
            "uri": f"spice://127.0.0.1:{told['port']}",
            "host": "127.0.0.1",
            "port": told["port"],
            "tls_port": None,
            "unix": None,
            "vv": str(connection_file),
            "ca_file": None,
            "compat": "0.15.1",
            "pid": serving.process.pid,
            "version": __version__,
        }
        assert link_to(told["port"]).linked


def test_a_log_on_request() -> None:
    logs = {}
    for level in ("", "-v", "-vv"):
        with serve(*level.split()) as serving:
            link_to(serving.port)
            assert serving.stop() == 0
            logs[level] = serving.errors
    assert logs[""] == ""
    assert "channel=main:0] linked" in logs["-v"]
    assert "DEBUG" not in logs["-v"]
    assert "DEBUG" in logs["-vv"]
    lines = logs["-vv"].splitlines()
    story = [line for line in lines if line.startswith(("> [", "< ["))]
    assert re.fullmatch(r"> \[[0-9a-f]{8} main:0\] main\.Init\(session_id=.*\)", story[0])
    assert "> [" not in logs["-v"]


# The end


@posix_only
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_every_connection_and_frees_the_port(how: signal.Signals) -> None:
    with serve("-v") as serving, ExitStack() as opened:
        address = ("127.0.0.1", serving.port)
        linked, silent = (opened.enter_context(socket.create_connection(address, TIMEOUT)) for _ in range(2))
        link(linked)
        assert serving.stop(how) == 0
        assert serving.rest_of_output == ""
        assert "client gone: the server closes" in serving.errors
        assert "Traceback" not in serving.errors
        for connection in (linked, silent):
            while connection.recv(65536):
                pass  # until the end of the stream; a reset would raise
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(address)


@posix_only
def test_ctrl_c_ends_what_a_script_has_started_in_the_background() -> None:
    script = f"{shlex.join(COMMAND)} serve --port 0 --blank & echo $! >&2; wait $!"
    shell = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert shell.stdout is not None
    assert shell.stderr is not None
    with shell.stdout, shell.stderr:
        server = int(shell.stderr.readline())
        assert shell.stdout.readline().startswith("spice://")
        os.kill(server, signal.SIGINT)
        assert shell.wait(TIMEOUT) == 0


@posix_only
def test_a_signal_while_the_server_is_loaded() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(address[1])], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        with socket.socket() as connection:
            if connection.connect_ex(address) == 0:
                break
    process.terminate()
    _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, "")


SIGNALLED_WHILE_LOADING = """
import importlib, os, signal, sys, weakref
from spiceemu.cli import main

class Lock: pass

def load(name, real=importlib.import_module):
    lock = Lock()
    kept = weakref.ref(lock, lambda _: os.kill(os.getpid(), signal.{name}))  # as the import system has them
    del lock
    return real(name)

importlib.import_module = load
main({arguments!r})
"""


@posix_only
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_while_modules_are_loaded_is_not_lost(name: str) -> None:
    """Python drops what is raised in a callback of a weak reference, so no signal may raise there."""
    for arguments, code in ((["serve", "--port", "0"], 0), (["compat"], -signal.SIGTERM if name == "SIGTERM" else 130)):
        program = SIGNALLED_WHILE_LOADING.format(name=name, arguments=arguments)
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT)
        assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", "")


SIGNALLED_BEFORE_THE_LOOP = """
import asyncio, os, signal
from spiceemu.cli import main

def run(coroutine, real=asyncio.run):
    os.kill(os.getpid(), signal.{name})
    real(coroutine)

asyncio.run = run
main({arguments!r})
"""


@posix_only
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_before_there_is_a_loop_ends_what_runs_in_it(name: str, tmp_path: Path) -> None:
    relaying = (["record", "127.0.0.1:1", str(tmp_path / "file")], ["lint", "--level=0.15", "--relay", "127.0.0.1:1"])
    for arguments in (["serve", "--port", "0"], *relaying):
        program = SIGNALLED_BEFORE_THE_LOOP.format(name=name, arguments=arguments)
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT)
        assert ended.returncode == 0
        assert "Warning" not in ended.stderr
        assert "Traceback" not in ended.stderr


# Passwords


@pytest.fixture(params=["utf-8", "utf-8-sig"])
def password_file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "password"
    path.write_bytes("from the file: schlüssel\r\nsomething else\n".encode(request.param))
    return path


def test_password_option() -> None:
    with serve("--password", "s3cret", password_variable="not this one") as serving:
        assert link_to(serving.port, "s3cret").linked
        for wrong in ("", "not this one", "s3cre"):
            with pytest.raises(PermissionDenied):
                link_to(serving.port, wrong)
        serving.stop()
        assert "the list of processes shows --password" in serving.errors.splitlines()[0]


def test_password_file(password_file: Path) -> None:
    with serve("--password-file", str(password_file), password_variable="not this one") as serving:
        assert link_to(serving.port, "from the file: schlüssel").linked
        with pytest.raises(PermissionDenied):
            link_to(serving.port, "not this one")
        serving.stop()
        assert "list of processes" not in serving.errors


def test_password_variable() -> None:
    with serve(password_variable="from outside") as serving:
        assert link_to(serving.port, "from outside").linked
        with pytest.raises(PermissionDenied):
            link_to(serving.port)


@posix_only
def test_a_password_variable_that_is_no_utf8(tmp_path: Path) -> None:
    latin = os.fsdecode("schlüssel".encode("latin-1"))
    with serve(password_variable=latin) as serving:
        assert link_to(serving.port, latin).linked
        with pytest.raises(PermissionDenied):
            link_to(serving.port, "schlüssel")
    file = tmp_path / "spice.vv"
    refused(run("serve", "--port=0", "--vv", str(file), password_variable=latin), 2, "--vv needs a password in UTF-8")
    assert not file.exists()


def test_a_password_expires() -> None:
    with serve("--password-expires", "1e-9", password_variable="short") as serving, pytest.raises(PermissionDenied):
        link_to(serving.port, "short")


@pytest.mark.parametrize(
    ("options", "warnings"),
    [
        (("--host", "0.0.0.0"), 1),
        (("--host", "0.0.0.0", "--password=x"), 0),
        ((), 0),
    ],
)
def test_an_open_server_warns(options: tuple[str, ...], warnings: int) -> None:
    with serve(*options) as serving:
        serving.stop()
        assert serving.errors.count("without a password") == warnings


# TLS


def tls_link(ca_file: Path | str, port: int) -> ClientLink:
    context = ssl.create_default_context(cafile=ca_file)
    with (
        socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secured,
    ):
        return link(secured)


def test_a_throwaway_certificate() -> None:
    with serve("--tls-port", "0", "--json") as serving:
        told = json.loads(serving.first_line)
        assert told["uri"] == f"spice://127.0.0.1:{told['port']}?tls-port={told['tls_port']}"
        ca_file = Path(told["ca_file"])
        assert [path.name for path in ca_file.parent.iterdir() if "key" in path.name] == []
        assert tls_link(ca_file, told["tls_port"]).linked
        assert link_to(told["port"]).linked
        assert serving.stop() == 0
        assert f"--spice-ca-file={ca_file}" in serving.errors
        assert not ca_file.parent.exists()


def test_the_ca_of_a_throwaway_certificate_on_request(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    with Serving("--port", "none", "--tls-port", "0", "--tls-ca-out", str(ca_file), "--blank") as serving:
        assert serving.first_line == f"spice://127.0.0.1?tls-port={serving.tls_port}"
        assert tls_link(ca_file, serving.tls_port).linked
        serving.stop()
        assert ca_file.exists()


def test_ones_own_certificate(certificate: ThrowawayCertificate) -> None:
    options = ("--tls-port", "0", "--tls-cert", str(certificate.certificate), "--tls-key", str(certificate.key))
    with serve(*options, "--tls-channels", "main,inputs") as serving:
        assert tls_link(certificate.ca, serving.tls_port).linked
        with pytest.raises(NeedSecured):
            link_to(serving.port)
        serving.stop()
        assert "throw-away" not in serving.errors


@pytest.fixture
def encrypted_key(certificate: ThrowawayCertificate, tmp_path: Path) -> Path:
    """The certificate's key, which "open sesame" opens."""
    path = tmp_path / "encrypted.pem"
    key = serialization.load_pem_private_key(certificate.key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"open sesame")
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return path


def test_an_encrypted_key(certificate: ThrowawayCertificate, encrypted_key: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    files = ("--tls-cert", str(certificate.certificate), "--tls-key", str(encrypted_key))
    options = ("--tls-port=0", *files, "--tls-key-password-file", str(password))
    with serve(*options) as serving:
        assert tls_link(certificate.ca, serving.tls_port).linked
    password.write_text("open barley\n")
    refused(run("serve", "--port=0", *options), 4, f"key file {encrypted_key}: does not open with the password")
    password.unlink()
    refused(run("serve", "--port=0", *options), 6, f"cannot read password file {password}")
    refused(run("serve", "--port=0", *options[:-2]), 4, f"key file {encrypted_key}: is encrypted")


# The connection file


def read_connection_file(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    parser.read_string(path.read_text(encoding="utf-8"))
    return dict(parser["virt-viewer"])


def test_a_connection_file(tmp_path: Path) -> None:
    path = tmp_path / "spice.vv"
    path.write_text("what was there before, and is longer than nothing\n" * 100)
    path.chmod(0o644)
    options = ("--tls-port", "0", "--vv", str(path), "--title", " a title\\n", "--json")
    with serve(*options, password_variable="back\\slash") as serving:
        told = json.loads(serving.first_line)
        entries = read_connection_file(path)
        assert entries.pop("ca").replace("\\n", "\n") == Path(told["ca_file"]).read_text()
        assert entries == {
            "type": "spice",
            "host": "127.0.0.1",
            "port": str(told["port"]),
            "tls-port": str(told["tls_port"]),
            "password": "back\\\\slash",
            "host-subject": "CN=localhost",
            "title": "\\sa title\\\\n",
            "delete-this-file": "0",
        }
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_connection_file_without_tls_and_password(tmp_path: Path) -> None:
    path = tmp_path / "spice.vv"
    with serve("--vv", str(path)) as serving:
        assert read_connection_file(path) == {
            "type": "spice",
            "host": "127.0.0.1",
            "port": str(serving.port),
            "title": "spiceemu",
            "delete-this-file": "0",
        }
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix_only
def test_a_connection_file_for_whoever_reads_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    path.chmod(0o644)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor) as reader, serve("--vv", str(path)) as serving:
        assert f"port={serving.port}\n" in reader.read()
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


# What cannot be done


def refused(result: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    """Check for an exit code and one line that says why."""
    assert (result.returncode, result.stdout) == (code, ""), result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("spiceemu: ")
    assert [text for text in texts if text not in line] == []


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield str(other.getsockname()[1])


@pytest.mark.parametrize("option", ["--port", "--tls-port"])
def test_a_port_in_use(option: str, taken_port: str) -> None:
    extra = ("--port=none", "--password=x") if option == "--tls-port" else ()
    result = run("serve", *extra, option, taken_port)
    refused(result, 3, f"127.0.0.1:{taken_port}: Address already in use", option)


def test_an_address_of_another_machine() -> None:
    refused(run("serve", "--host", "192.0.2.1", "--port", "0"), 3, "192.0.2.1", "--host")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no unix sockets")
def test_a_unix_socket_in_use(tmp_path: Path) -> None:
    path = tmp_path / "spice"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        refused(run("serve", "--port", "none", "--unix", str(path)), 3, str(path), "--unix")
        assert path.exists()


def test_unusable_certificates(tmp_path: Path, certificate: ThrowawayCertificate) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    good, foreign = certificate.certificate, throwaway_certificate(tmp_path).key
    for text, *options in (
        ("absent.pem: No such file", "--tls-cert", tmp_path / "absent.pem"),
        ("holds no certificate", "--tls-cert", garbage),
        ("holds no private key", "--tls-cert", good, "--tls-key", garbage),
        ("is not the key of", "--tls-cert", good, "--tls-key", foreign),
    ):
        refused(run("serve", "--port=0", "--tls-port=0", *map(str, options)), 4, text)


def test_a_missing_extra() -> None:
    result = run("serve", "--port=0", "--tls-port=0", before="import sys; sys.modules['cryptography'] = None")
    refused(result, 5, "spiceemu[tls]")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "No such file"),
        (b"\nsecond line\n", "empty"),
        (b"", "empty"),
        (b"\xef\xbb\xbf\n", "empty"),
        (b"\xff\n", "UTF-8"),
        (b"p" * 5000, "more than 4096 bytes"),
    ],
)
def test_an_unusable_password_file(tmp_path: Path, content: bytes | None, text: str) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    refused(run("serve", "--port=0", "--password-file", str(path)), 6, str(path), text)


@pytest.mark.parametrize("options", [("--password=x", "--tls-port=0", "--vv"), ("--tls-port=0", "--tls-ca-out")])
def test_a_file_that_cannot_be_written(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = tmp_path / "absent" / "file"
    refused(run("serve", "--port=0", *options, str(path)), 6, f"cannot write {path}: No such file or directory")


@posix_only
def test_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    refused(run("serve", "--port=0", "--vv", str(path)), 6, f"cannot write {path}: ")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--password-expires=5",), "--password-expires needs a password"),
        (("--tls-port=0", "--tls-channels=main", "--plain-channels=main"), "cannot be linked at all: main"),
        (("--plain-channels=mane",), "no channel is called 'mane'"),
    ],
)
def test_options_that_the_server_refuses(options: tuple[str, ...], text: str) -> None:
    refused(run("serve", "--port=0", *options), 2, text, "see spiceemu serve --help")


def test_a_password_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("p" * 61)
    refused(run("serve", "--port=0", "--password-file", str(path)), 2, "61 bytes, at most 60")
