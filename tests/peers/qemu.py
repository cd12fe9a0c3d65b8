"""A real SPICE server to hold against ours: QEMU with libspice-server, without KVM, running 512 bytes of guest."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .clients import environment, requires
from .picture import Picture
from .waiting import PATIENCE, POLL_INTERVAL, eventually

#: How often another port is tried when somebody took the free one first.
PORT_ATTEMPTS = 5

# A boot sector: a still screen of coloured letters, then an echo of what is typed, on the screen and on port 0xE9.
GUEST_CODE = bytes.fromhex(
    "fc"  # cld
    "b80300 cd10"  # mov ax,3; int 10h: text mode of 720x400
    "b401 b90020 cd10"  # mov ah,1; mov cx,2000h; int 10h: no text cursor, whose blinking would change pixels
    "6800b8 07 31ff b9d007"  # push B800h; pop es; xor di,di; mov cx,2000
    "89c8 88c4 80e47f ab e2f6"  # again: mov ax,cx; mov ah,al; and ah,7Fh; stosw; loop again
    "b021 e6e9"  # mov al,'!'; out E9h,al: ready
    "b401 cd16 7503 f4 ebf7"  # next: mov ah,1; int 16h; jnz key; hlt; jmp next: the BIOS sets the LEDs at each call
    "b400 cd16"  # key: mov ah,0; int 16h: take it
    "b40e bb0700 cd10 e6e9 ebe8"  # mov ah,0Eh; mov bx,7; int 10h; out E9h,al; jmp next
)
SECTOR_SIZE, BOOT_SIGNATURE = 512, b"\x55\xaa"
READY = b"!"


class Qemu:
    """A running QEMU: ``port`` and ``tls_port`` of 127.0.0.1, None where it has none."""

    def __init__(self, directory: Path, port: int | None, tls_port: int | None) -> None:
        self.port = port
        self.tls_port = tls_port
        self._directory = directory
        self._monitor = _connect(directory / "monitor")
        self._answers = self._monitor.makefile("rb")
        self._answers.readline()
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: Any) -> Any:
        """Have a QMP command carried out and return its value."""
        self._monitor.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            message = json.loads(self._answers.readline())
            if "error" in message:
                raise AssertionError(f"{name}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def picture(self) -> Picture:
        """Return what the guest's screen shows, by QEMU's own word."""
        path = self._directory / "screen.ppm"
        self.command("screendump", filename=str(path))
        return Picture.from_ppm(path.read_bytes())

    def typed(self) -> bytes:
        """Return the characters the guest has read from its keyboard."""
        return self._console().removeprefix(READY)

    async def has_typed(self, text: bytes) -> None:
        """Wait until the guest has read this text, as the last of all."""

        async def look() -> bool:
            return self.typed().endswith(text)

        await eventually(look, lambda: f"{text!r} typed in the guest, only {self.typed()!r}")

    def use_absolute_pointer(self, absolute: bool = True) -> None:
        """Choose which pointing device the guest listens to: the tablet makes spice-server offer the client mode."""
        wanted = "Tablet" if absolute else "PS/2"
        mouse = next(mouse for mouse in self.command("query-mice") if wanted in mouse["name"])
        self.command("human-monitor-command", **{"command-line": f"mouse_set {mouse['index']}"})

    def _console(self) -> bytes:
        path = self._directory / "console"
        return path.read_bytes() if path.exists() else b""

    def _close(self) -> None:
        self._answers.close()
        self._monitor.close()


@contextlib.contextmanager
def running_qemu(
    *,
    plain: bool = True,
    password: str | None = None,
    certificates: Path | None = None,
    options: str = "",
    devices: Sequence[str] = (),
) -> Iterator[Qemu]:
    """Run QEMU until the context ends; it serves, and its guest waits for keys, when this returns.

    ``certificates`` is a folder of ca-cert.pem, server-cert.pem and server-key.pem, and makes it listen on a TLS port;
    ``options`` are more of ``-spice``'s, after a comma each; ``devices`` are more of QEMU's own.
    """
    requires("qemu-system-x86_64")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "guest").write_bytes(GUEST_CODE.ljust(SECTOR_SIZE - len(BOOT_SIGNATURE), b"\0") + BOOT_SIGNATURE)
        for _ in range(PORT_ATTEMPTS):
            port = _free_port() if plain else None
            tls_port = _free_port() if certificates else None
            spice = "addr=127.0.0.1" + options
            spice += f",port={port}" if port else ""
            spice += f",tls-port={tls_port},x509-dir={certificates}" if tls_port else ""
            spice += ",password-secret=ticket" if password else ",disable-ticketing=on"
            errors = directory / "errors"
            with errors.open("wb") as stderr:
                command = [*_command_line(directory, spice, password), *devices]
                process = subprocess.Popen(command, stderr=stderr, env=environment())
            try:
                if not _boot(process, directory):
                    reason = errors.read_text()
                    if "socket" in reason:
                        continue
                    raise AssertionError(f"QEMU did not start: {reason}")
                qemu = Qemu(directory, port, tls_port)
                try:
                    yield qemu
                finally:
                    qemu._close()
                if process.poll() is not None:
                    raise AssertionError(f"QEMU ended with {process.returncode}: {errors.read_text()}")
            finally:
                process.terminate()
                process.wait(PATIENCE)
            return
        raise AssertionError(f"no free port for QEMU in {PORT_ATTEMPTS} attempts")


def _command_line(directory: Path, spice: str, password: str | None) -> list[str]:
    secret = ["-object", f"secret,id=ticket,data={password}"] if password else []
    return [
        *("qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "16", "-nodefaults", "-no-user-config"),
        *("-display", "none", "-vga", "qxl", "-usb", "-device", "usb-tablet", "-boot", "a"),
        *("-drive", f"file={directory / 'guest'},format=raw,if=floppy,readonly=on"),
        *("-debugcon", f"file:{directory / 'console'}", "-qmp", f"unix:{directory / 'monitor'},server=on,wait=off"),
        *secret,
        *("-spice", spice),
    ]


def _boot(process: subprocess.Popen[bytes], directory: Path) -> bool:
    """Wait until the guest says that it is ready; False if QEMU ends before."""
    deadline = time.monotonic() + PATIENCE
    console = directory / "console"
    while process.poll() is None:
        if console.exists() and console.read_bytes().startswith(READY):
            return True
        if time.monotonic() > deadline:
            raise AssertionError("QEMU's guest does not start")
        time.sleep(POLL_INTERVAL)
    return False


def _connect(path: Path) -> socket.socket:
    monitor = socket.socket(socket.AF_UNIX)
    monitor.settimeout(PATIENCE)
    monitor.connect(str(path))
    return monitor


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
