"""A headless SPICE client on libspice-client-glib, driven by JSON lines: the scripted real client of the tests.

Run by the system's Python (``gi`` is a Debian package), as a child process: a crash or a hang is then a finding.
Standard library and gi only; clients.py holds the other end, :class:`clients.GtkClient`.

    /usr/bin/python3 gtk_client.py FD

Standard input carries commands, one JSON object a line: ``{"id": 1, "command": "key_down", "scancode": 30}``. The file
descriptor FD carries answers and events, one JSON object a line:

    {"reply": 1, "value": null}                          the command was given to spice-gtk
    {"reply": 1, "error": "LookupError: ..."}            it could not be
    {"event": "display-invalidate", "channel": 0, ...}   something happened

Events are named as spice-gtk names its signals (gtk_native.SIGNALS, and the session's ``channel-new``,
``channel-destroy`` and ``disconnected``), with these besides: ``opened``, ``closed`` and ``error`` (a channel event,
with its ``code``), ``monitors`` (heads changed), ``name`` and ``uuid`` (of the guest), ``migration-state`` (none,
switching, migrating or connecting). An event of a channel carries ``type`` and ``channel``, the channel's type name and
id. A server that hangs up gives a ``closed`` for every channel; ``disconnected`` follows only a client's own
``disconnect``. The end of standard input ends the client.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import gi

gi.require_version("SpiceClientGLib", "2.0")
import gtk_native  # noqa: E402
from gi.repository import GLib, GObject, SpiceClientGLib  # noqa: E402

READ_SIZE = 1 << 16

OPENED, SWITCHING, CLOSED, FIRST_ERROR = 10, 11, 12, 20
CHANNEL_EVENTS = {OPENED: "opened", SWITCHING: "switching", CLOSED: "closed"}

#: Signals without arguments that announce a property: signal -> (its name in the event, the property).
SIGNALLED_PROPERTIES = {
    "main-mouse-update": ("mode", "mouse-mode"),
    "main-agent-update": ("connected", "agent-connected"),
    "inputs-modifiers": ("modifiers", "key-modifiers"),
}


class Client:
    """One SpiceSession and its channels."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._unread = b""
        self._only: list[str] | None = None
        self._channels: dict[tuple[str, int], Any] = {}
        self._open: set[tuple[str, int]] = set()
        self.loop = GLib.MainLoop()
        self.session = SpiceClientGLib.Session()
        self.session.set_property("enable-audio", False)
        # Without a manager, usbredir channels make spice-gtk print CRITICAL lines that are nobody's fault but ours.
        self._usb = SpiceClientGLib.UsbDeviceManager.get(self.session)
        self._watch(self.session, "channel-new", self._channel_new)
        self._watch(self.session, "channel-destroy", self._channel_destroy)
        self._watch(self.session, "disconnected", lambda _: self._emit("disconnected"))
        self._watch(self.session, "notify::name", lambda *_: self._emit("name", value=self._name()))
        self._watch(self.session, "notify::uuid", lambda *_: self._emit("uuid", value=self._uuid()))
        self._watch(self.session, "notify::migration-state", self._migration_state)

    # --- what happens -------------------------------------------------------------------------------------------------

    @staticmethod
    def _watch(instance: Any, signal: str, handler: Any) -> None:
        # spice-gtk's own connect() shadows GObject's in its classes.
        GObject.Object.connect(instance, signal, handler)

    def _write(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        while line:
            line = line[os.write(self._events, line) :]

    def _emit(self, event: str, channel: Any = None, **details: Any) -> None:
        where = {} if channel is None else dict(zip(("type", "channel"), self._key(channel), strict=True))
        self._write({"event": event, **where, **details})

    @staticmethod
    def _key(channel: Any) -> tuple[str, int]:
        kind = SpiceClientGLib.Channel.type_to_string(channel.get_property("channel-type"))
        return kind, channel.get_property("channel-id")

    def _channel_new(self, _session: Any, channel: Any) -> None:
        kind, number = self._key(channel)
        # No closure may hold a channel: the session says "disconnected" only when the last channel is finalised.
        self._channels[kind, number] = channel
        self._watch(channel, "channel-event", self._channel_event)
        gtk_native.connect_signals(channel, kind, lambda name, arguments: self._signal(kind, number, name, arguments))
        if kind == "display":
            self._watch(channel, "notify::monitors", self._monitors)
        self._emit("channel-new", channel)
        # The session connects the main channel itself.
        if kind != "main" and (self._only is None or kind in self._only):
            channel.connect()

    def _channel_destroy(self, _session: Any, channel: Any) -> None:
        if self._key(channel) not in self._open:
            self._channels.pop(self._key(channel), None)
        self._emit("channel-destroy", channel)

    def _channel_event(self, channel: Any, code: int) -> None:
        code, key = int(code), self._key(channel)
        if code == OPENED:
            self._open.add(key)
        elif code != SWITCHING:
            self._open.discard(key)
            self._channels.pop(key, None)
        details: dict[str, Any] = {"code": code}
        if code >= FIRST_ERROR and (problem := channel.get_error()) is not None:
            details["message"] = problem.message
        self._emit("error" if code >= FIRST_ERROR else CHANNEL_EVENTS.get(code, "channel-event"), channel, **details)

    def _signal(self, kind: str, number: int, name: str, arguments: dict[str, Any]) -> None:
        channel = self._channels[kind, number]
        if name in SIGNALLED_PROPERTIES:
            detail, name_of_property = SIGNALLED_PROPERTIES[name]
            arguments[detail] = channel.get_property(name_of_property)
        # A clipboard message's own "type" is a data type, not a channel's.
        if "type" in arguments:
            arguments["format"] = arguments.pop("type")
        self._emit(name, channel, **arguments)

    def _monitors(self, channel: Any, _property: Any) -> None:
        maximum = channel.get_property("monitors-max")
        self._emit("monitors", channel, maximum=maximum, heads=gtk_native.monitors(channel))

    def _migration_state(self, *_: Any) -> None:
        self._emit("migration-state", value=self.session.get_property("migration-state").value_nick)

    def _name(self) -> str | None:
        name: str | None = self.session.get_property("name")
        return name

    def _uuid(self) -> str | None:
        return gtk_native.session_uuid(self.session)

    def _channel(self, kind: str, number: int = 0) -> Any:
        if (kind, number) not in self._open:
            # spice-gtk drops what it cannot send in silence: a test must hear of it.
            raise LookupError(f"the {kind} channel {number} is not open")
        return self._channels[kind, number]

    # --- commands -----------------------------------------------------------------------------------------------------

    def command_connect(self, channels: list[str] | None = None, **properties: Any) -> None:
        """Connect with the session's properties, named as spice-gtk does ("tls_port" for "tls-port").

        ``channels`` limits which channel types are connected besides main.
        """
        self._only = channels
        for name, value in properties.items():
            self.session.set_property(name.replace("_", "-"), value)
        if not self.session.connect():
            raise ConnectionError("spice_session_connect() failed")

    def command_disconnect(self) -> None:
        self.session.disconnect()

    def command_quit(self) -> None:
        self.loop.quit()

    def command_state(self) -> dict[str, Any]:
        main, inputs = self._channels.get(("main", 0)), self._channels.get(("inputs", 0))
        return {
            "channels": sorted([kind, number] for kind, number in self._open),
            "name": self._name(),
            "uuid": self._uuid(),
            "mouse_mode": main and main.get_property("mouse-mode"),
            "agent_connected": main and main.get_property("agent-connected"),
            "modifiers": inputs and inputs.get_property("key-modifiers"),
        }

    def command_has_capability(self, capability: int, kind: str = "main", channel: int = 0) -> bool:
        """Tell whether the server's link reply had this bit among the channel's own capabilities."""
        return bool(self._channel(kind, channel).test_capability(capability))

    def command_has_common_capability(self, capability: int, kind: str = "main", channel: int = 0) -> bool:
        """Tell whether the server's link reply had this bit among the common capabilities."""
        return bool(self._channel(kind, channel).test_common_capability(capability))

    def command_has_agent_capability(self, capability: int) -> bool:
        return bool(self._channel("main").agent_test_capability(capability))

    def command_screenshot(self, path: str, channel: int = 0) -> dict[str, Any]:
        primary, pixels = gtk_native.primary_pixels(self._channel("display", channel))
        Path(path).write_bytes(pixels)
        return {
            "width": primary.width,
            "height": primary.height,
            "format": gtk_native.FORMATS_OF_FOUR_BYTES[primary.format],
            "marked": bool(primary.marked),
        }

    def command_monitors(self, channel: int = 0) -> list[dict[str, int]]:
        heads: list[dict[str, int]] = gtk_native.monitors(self._channel("display", channel))
        return heads

    def command_key_down(self, scancode: int) -> None:
        self._channel("inputs").key_press(scancode)

    def command_key_up(self, scancode: int) -> None:
        self._channel("inputs").key_release(scancode)

    def command_key(self, scancode: int) -> None:
        self._channel("inputs").key_press_and_release(scancode)

    def command_type_steadily(self, scancodes: list[int], interval: int) -> None:
        """Press and release these keys in turn, again and again, one every so many milliseconds until ``stop_typing``.

        Like a user who does not care whether there is a server.
        """
        self._typed = 0
        self._is_typing = True

        def press() -> bool:
            if not self._is_typing:
                return False
            scancode = scancodes[self._typed % len(scancodes)]
            self._typed += 1
            # A channel that is on its way out has no session any more, and spice-gtk prints CRITICAL lines for it.
            if ("inputs", 0) in self._open and self._channel("inputs").get_property("spice-session") is not None:
                self.command_key_down(scancode)
                self.command_key_up(scancode)
            return True

        GLib.timeout_add(interval, press)

    def command_stop_typing(self) -> int:
        """Return how many keys were typed, with a server or without."""
        self._is_typing = False
        return self._typed

    def command_set_key_locks(self, locks: int) -> None:
        self._channel("inputs").set_key_locks(locks)

    def command_motion(self, dx: int, dy: int, buttons: int = 0) -> None:
        self._channel("inputs").motion(dx, dy, buttons)

    def command_position(self, x: int, y: int, display: int = 0, buttons: int = 0) -> None:
        self._channel("inputs").position(x, y, display, buttons)

    def command_button_press(self, button: int, buttons: int = 0) -> None:
        self._channel("inputs").button_press(button, buttons)

    def command_button_release(self, button: int, buttons: int = 0) -> None:
        self._channel("inputs").button_release(button, buttons)

    def command_request_mouse_mode(self, mode: int) -> None:
        gtk_native.request_mouse_mode(self._channel("main"), mode)

    def command_update_display(
        self, width: int, height: int, display: int = 0, x: int = 0, y: int = 0, send: bool = True
    ) -> None:
        """Set a head's wish; with ``send``, spice-gtk sends all of them to the agent one second later."""
        self._channel("main").update_display(display, x, y, width, height, send)

    def command_enable_display(self, display: int, enabled: bool, send: bool = True) -> None:
        self._channel("main").update_display_enabled(display, enabled, send)

    def command_send_monitor_config(self) -> None:
        main = self._channel("main")
        # Asked without an agent, spice-gtk prints a CRITICAL line: the script's fault, not the server's.
        if not main.get_property("agent-connected"):
            raise LookupError("the agent is not connected")
        main.send_monitor_config()

    def command_clipboard_grab(self, types: list[int], selection: int = 0) -> None:
        gtk_native.clipboard_grab(self._channel("main"), selection, types)

    def command_clipboard_notify(self, data: str, format: int = 1, selection: int = 0) -> None:  # noqa: A002
        gtk_native.clipboard_notify(self._channel("main"), selection, format, base64.b64decode(data))

    def command_clipboard_request(self, format: int = 1, selection: int = 0) -> None:  # noqa: A002
        self._channel("main").clipboard_selection_request(selection, format)

    def command_clipboard_release(self, selection: int = 0) -> None:
        self._channel("main").clipboard_selection_release(selection)

    # --- the wire -----------------------------------------------------------------------------------------------------

    def readable(self, descriptor: int, _condition: Any) -> bool:
        """Take what came on standard input; returns whether to go on watching it."""
        data = os.read(descriptor, READ_SIZE)
        if not data:
            self.loop.quit()
            return False
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._run(json.loads(line))
        return True

    def _run(self, request: dict[str, Any]) -> None:
        number = request.pop("id")
        try:
            value = getattr(self, f"command_{request.pop('command')}")(**request)
        except Exception as error:  # noqa: BLE001 - every failure of a command is the answer to that command
            self._write({"reply": number, "error": f"{type(error).__name__}: {error}"})
        else:
            self._write({"reply": number, "value": value})


def main() -> None:
    """Serve standard input until it ends."""
    client = Client(int(sys.argv[1]))
    GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, client.readable)
    client.loop.run()
    # Without the interpreter's own end: spice-gtk would call back into a half-dead one while its objects go.
    os._exit(0)


if __name__ == "__main__":
    main()
