"""The command line of ``spiceemu``: what is read from it, what is refused, and the help."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from spiceemu._version import __version__
from spiceemu.cli import exits, main
from spiceemu.cli.options import OPTIONS, Options, read_options
from spiceemu.errors import InvalidValue


def values(*arguments: str) -> dict[str, object]:
    """The attributes that a command line sets."""
    return vars(read_options(arguments))


def test_without_options() -> None:
    assert values() == {}
    assert (Options.host, Options.port, Options.size) == ("127.0.0.1", 5930, (1024, 768))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--port 0", {"port": 0}),
        ("--port=65535", {"port": 65535}),
        ("--port none --unix /tmp/s", {"port": None, "unix": "/tmp/s"}),
        ("--port 1 --port 2", {"port": 2}),
        ("--host ::1", {"host": "::1"}),
        (
            "--tls-port 5931 --tls-cert c.pem --tls-key k.pem",
            {"tls_port": 5931, "tls_cert": "c.pem", "tls_key": "k.pem"},
        ),
        (
            "--tls-port 0 --tls-cert c.pem --tls-key-password-file f",
            {"tls_port": 0, "tls_cert": "c.pem", "tls_key_password_file": "f"},
        ),
        (
            "--tls-port 0 --tls-ca-out ca.pem --tls-channels main,inputs",
            {"tls_port": 0, "tls_ca_out": "ca.pem", "tls_channels": ["main", "inputs"]},
        ),
        ("--plain-channels all", {"plain_channels": ["all"]}),
        ("--password=--secret=--", {"password": "--secret=--"}),
        ("--password-file f", {"password_file": "f"}),
        ("--password-expires 1.5", {"password_expires": 1.5}),
        ("--size 640x480", {"size": (640, 480)}),
        ("--title -v", {"title": "-v"}),
        ("--compression lz", {"compression": "lz"}),
        ("--share --no-agent --blank --json", {"share": True, "no_agent": True, "blank": True, "json": True}),
        ("--vv f.vv", {"vv": "f.vv"}),
        ("-v -vv", {"verbosity": 3}),
    ],
)
def test_what_is_read(arguments: str, expected: dict[str, object]) -> None:
    assert values(*arguments.split()) == expected


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--prot 0", "there is no option --prot; did you mean --port?"),
        ("--xyz", "there is no option --xyz"),
        ("-x", "there is no option -x"),
        ("5930", "there is no option 5930"),
        ("--share=yes", "--share takes no value"),
        ("--port", "--port needs a value: --port=PORT"),
        ("--password --json", "--password needs a value: --password=TEXT"),
        ("--port 65536", "--port 65536: port 65536 is not within 0 and 65535"),
        ("--port -1", "--port -1: is not a port number"),
        ("--port spice", "--port spice: is not a port number"),
        ("--port 1" + 5000 * "0", "is not a port number"),
        ("--tls-port none", "--tls-port none: is not a port number"),
        ("--size 640", "--size 640: is not a size such as 1024x768"),
        ("--size 640x", "is not a size such as 1024x768"),
        ("--size 640x480x2", "is not a size such as 1024x768"),
        ("--size 0x480", "--size 0x480: a surface is 1x1 to 16384x16384 pixels"),
        ("--compression best", "--compression best: is none of auto, lz and off"),
        ("--password-expires soon", "is not a number of seconds above 0"),
        ("--password-expires 0", "is not a number of seconds above 0"),
        ("--password-expires nan", "is not a number of seconds above 0"),
        ("--password-expires inf", "is not a number of seconds above 0"),
        ("--password=", "--password : is empty; leave the option out"),
        ("--title \udcff", "is not printable text"),
        ("--vv=", "--vv : is not a path in printable text"),
        ("--unix \udcff", "is not a path in printable text"),
        ("--port none", "--port none needs --tls-port or --unix"),
        ("--tls-cert c", "--tls-cert needs --tls-port"),
        ("--tls-port 0 --tls-key k", "--tls-key needs --tls-cert"),
        ("--tls-port 0 --tls-key-password-file f", "--tls-key-password-file needs --tls-cert"),
        ("--tls-ca-out c", "--tls-ca-out needs --tls-port"),
        ("--tls-port 0 --tls-cert c --tls-ca-out c", "--tls-ca-out is for a throw-away certificate"),
        ("--tls-channels main", "--tls-channels needs --tls-port"),
        ("--port none --tls-port 0 --plain-channels main", "--plain-channels needs --port or --unix"),
        ("--port none --unix u --vv f", "--vv needs --port or --tls-port"),
        ("--password p --password-file f", "--password and --password-file exclude each other"),
    ],
)
def test_what_is_refused(arguments: str, text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        read_options(arguments.split(" "))
    assert text in str(caught.value)


def test_a_refused_option_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--prot", "0"])
    assert caught.value.code == exits.EXIT_USAGE == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "spiceemu: there is no option --prot; did you mean --port? (see spiceemu serve --help)\n"


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["sevre"])
    assert caught.value.code == exits.EXIT_USAGE
    known = "serve, compat, record, lint, probe"
    assert capsys.readouterr().err == f"spiceemu: there is no command sevre, only {known}; see spiceemu --help\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_general_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("usage: spiceemu COMMAND [OPTION...]\n")


@pytest.mark.parametrize("arguments", [["serve", "--help"], ["serve", "--port", "none", "-h"]])
def test_the_help_tells_every_option_and_exit_code(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert [option.usage for group in OPTIONS.values() for option in group if option.usage not in text] == []
    codes = [value for name, value in vars(exits).items() if name.startswith("EXIT_")]
    assert sorted(codes) == [int(code) for code in re.findall(r"^  (\d)  ", text, re.MULTILINE)][1:]
    assert max(map(len, text.splitlines())) <= 120


def test_every_option_has_its_place_among_the_values() -> None:
    named = {option.attribute for group in OPTIONS.values() for option in group if option.name.startswith("--")}
    assert named | {"verbosity"} == {name for name in vars(Options) if not name.startswith("_")}


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"spiceemu {__version__}\n"


def test_as_a_module() -> None:
    told = subprocess.run([sys.executable, "-m", "spiceemu", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"spiceemu {__version__}\n"


def loaded_by(code: str) -> set[str]:
    """The modules that a program of its own has loaded at its end, but for those that Python begins with."""
    code = f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(told.stdout.split())


def test_little_is_loaded_before_the_port_listens() -> None:
    """Each of these costs about as much as all the rest of what happens until then."""
    loaded = loaded_by("from spiceemu.cli.startup import Startup; Startup().__enter__(); import spiceemu.cli.command")
    assert "spiceemu.serving.listeners" in loaded
    assert loaded & {"argparse", "asyncio", "contextlib", "logging", "re"} == set()


def test_typing_is_not_loaded_before_the_port_listens_and_is_itself_afterwards() -> None:
    start = "from spiceemu.cli.startup import Startup; startup = Startup().__enter__(); import spiceemu.cli.command"
    assert "_typing" not in loaded_by(start)  # which typing alone loads
    checked = "import typing; assert typing.__spec__.origin and not hasattr(spiceemu.errors, 'Sequence')"
    assert "re" in loaded_by(f"{start}; startup.load('serving'); {checked}")
    assert "_typing" in loaded_by(f"{start}; from typing import NamedTuple; {checked}")


@pytest.mark.parametrize("verb", ["serving", "compat", "record", "lint", "probe"])
def test_every_verb_gets_the_collector_back(verb: str) -> None:
    checked = f"assert not gc.isenabled(); startup.load({verb!r}); assert gc.isenabled()"
    loaded_by(f"import gc; from spiceemu.cli.startup import Startup; startup = Startup().__enter__(); {checked}")


@pytest.mark.parametrize("tls", [False, True])
def test_openssl_is_loaded_for_tls_alone(tls: bool) -> None:
    loaded = loaded_by(f"from spiceemu.cli.startup import Startup; Startup().load('serving', tls={tls})")
    assert "asyncio" in loaded
    assert ("_ssl" in loaded) == tls
    assert ("ssl" in loaded) == tls


def test_openssl_can_still_be_loaded_later() -> None:
    assert "_ssl" in loaded_by(
        "from spiceemu.cli.startup import Startup; Startup().load('serving', tls=False); import ssl"
    )
