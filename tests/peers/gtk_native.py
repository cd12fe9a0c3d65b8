"""What PyGObject cannot reach in libspice-client-glib 0.42: signals and structures that carry bare pointers.

Used by gtk_client.py only, under the system's Python. Signals are connected straight in C, because PyGObject hands a
bare ``gpointer`` over as an opaque object, and because spice-gtk's classes shadow ``GObject.connect``.
Layouts and signal arguments: spice-gtk channel-display.h, channel-cursor.h, channel-main.c.
"""

from __future__ import annotations

import base64
import ctypes
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_void_p
from typing import Any

spice = ctypes.CDLL("libspice-client-glib-2.0.so.8")
gobject = ctypes.CDLL("libgobject-2.0.so.0")
glib = ctypes.CDLL("libglib-2.0.so.0")

#: Surface formats of four bytes a pixel, the only ones a screenshot understands (spice.proto, surface_fmt).
FORMATS_OF_FOUR_BYTES = {32: "xRGB", 96: "ARGB"}

CURSOR_BYTES_PER_PIXEL = 4
MONITOR_FIELDS = ("id", "surface_id", "x", "y", "width", "height")
UUID_SIZE = 16


class Primary(ctypes.Structure):
    """SpiceDisplayPrimary."""

    _fields_ = [
        ("format", c_int),
        ("width", c_int),
        ("height", c_int),
        ("stride", c_int),
        ("shmid", c_int),
        ("data", c_void_p),
        ("marked", c_int),
    ]


class Monitor(ctypes.Structure):
    """SpiceDisplayMonitorConfig."""

    _fields_ = [(name, c_uint) for name in MONITOR_FIELDS]


class Array(ctypes.Structure):
    """The public part of a GArray."""

    _fields_ = [("data", c_void_p), ("length", c_uint)]


gobject.g_signal_connect_data.restype = ctypes.c_ulong
gobject.g_signal_connect_data.argtypes = [c_void_p, c_char_p, c_void_p, c_void_p, c_void_p, c_int]
gobject.g_object_get.restype = None
glib.g_array_unref.argtypes = [c_void_p]
spice.spice_display_channel_get_primary.argtypes = [c_void_p, c_uint32, POINTER(Primary)]
spice.spice_main_channel_request_mouse_mode.argtypes = [c_void_p, c_int]
spice.spice_main_channel_clipboard_selection_grab.argtypes = [c_void_p, c_uint, POINTER(c_uint32), c_int]
spice.spice_main_channel_clipboard_selection_notify.argtypes = [c_void_p, c_uint, c_uint32, c_char_p, c_size_t]

_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, c_char_p]
_capsule_name = ctypes.pythonapi.PyCapsule_GetName
_capsule_name.restype = c_char_p
_capsule_name.argtypes = [ctypes.py_object]


def pointer_of(instance: Any) -> int:
    """Return the address of the GObject behind a PyGObject instance."""
    capsule = instance.__gpointer__
    return int(_capsule_pointer(capsule, _capsule_name(capsule)))


def _cursor_shape(arguments: dict[str, Any]) -> dict[str, Any]:
    address = arguments.pop("rgba")
    size = arguments["width"] * arguments["height"] * CURSOR_BYTES_PER_PIXEL
    arguments["rgba"] = base64.b64encode(ctypes.string_at(address, size)).decode() if address else None
    return arguments


def _clipboard_types(arguments: dict[str, Any]) -> dict[str, Any]:
    address, count = arguments.pop("types"), arguments.pop("count")
    arguments["types"] = list((c_uint32 * count).from_address(address)) if count else []
    return arguments


def _clipboard_data(arguments: dict[str, Any]) -> dict[str, Any]:
    address, size = arguments.pop("data"), arguments.pop("size")
    arguments["data"] = base64.b64encode(ctypes.string_at(address, size)).decode() if size else ""
    return arguments


def _without_pointer(arguments: dict[str, Any]) -> dict[str, Any]:
    del arguments["data"]
    return arguments


def _as_they_are(arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


Arguments = tuple[tuple[str, Any], ...]
Reader = Callable[[dict[str, Any]], dict[str, Any]]
Handler = Callable[[str, dict[str, Any]], None]

_RECTANGLE: Arguments = (("x", c_int), ("y", c_int), ("width", c_int), ("height", c_int))
_SELECTION: Arguments = (("selection", c_uint),)

#: By channel type name: signal -> (C arguments, how to read what they point to, value returned to the emitter).
SIGNALS: dict[str, dict[str, tuple[Arguments, Reader, bool]]] = {
    "main": {
        "main-mouse-update": ((), _as_they_are, False),
        "main-agent-update": ((), _as_they_are, False),
        "main-clipboard-selection": (
            (*_SELECTION, ("type", c_uint), ("data", c_void_p), ("size", c_uint)),
            _clipboard_data,
            False,
        ),
        "main-clipboard-selection-grab": (
            (*_SELECTION, ("types", c_void_p), ("count", c_uint)),
            _clipboard_types,
            True,
        ),
        "main-clipboard-selection-request": ((*_SELECTION, ("type", c_uint)), _as_they_are, True),
        "main-clipboard-selection-release": (_SELECTION, _as_they_are, False),
    },
    "display": {
        "display-primary-create": (
            (
                ("format", c_int),
                ("width", c_int),
                ("height", c_int),
                ("stride", c_int),
                ("shmid", c_int),
                ("data", c_void_p),
            ),
            _without_pointer,
            False,
        ),
        "display-primary-destroy": ((), _as_they_are, False),
        "display-invalidate": (_RECTANGLE, _as_they_are, False),
        "display-mark": ((("mark", c_int),), _as_they_are, False),
    },
    "inputs": {"inputs-modifiers": ((), _as_they_are, False)},
    "cursor": {
        "cursor-set": (
            (("width", c_int), ("height", c_int), ("hot_x", c_int), ("hot_y", c_int), ("rgba", c_void_p)),
            _cursor_shape,
            False,
        ),
        "cursor-move": ((("x", c_int), ("y", c_int)), _as_they_are, False),
        "cursor-hide": ((), _as_they_are, False),
        "cursor-reset": ((), _as_they_are, False),
    },
}

# A C callback must live as long as the process: its signal may fire until the very end.
_kept_alive: list[Any] = []


def connect_signals(channel: Any, kind: str, handler: Handler) -> None:
    """Call ``handler(signal name, arguments)`` for every signal of :data:`SIGNALS` of a channel of this kind."""
    for name, (layout, read, result) in SIGNALS.get(kind, {}).items():
        prototype = ctypes.CFUNCTYPE(c_int, c_void_p, *(kind_of_value for _, kind_of_value in layout), c_void_p)
        names = tuple(argument for argument, _ in layout)
        callback = prototype(_receiver(name, names, read, result, handler))
        _kept_alive.append(callback)
        address = ctypes.cast(callback, c_void_p)
        gobject.g_signal_connect_data(pointer_of(channel), name.encode(), address, None, None, 0)


def _receiver(name: str, names: tuple[str, ...], read: Reader, result: bool, handler: Handler) -> Callable[..., int]:
    def receive(_instance: int, *values: Any) -> int:
        # The last value is the user data that we did not give.
        handler(name, read(dict(zip(names, values[:-1], strict=True))))
        return int(result)

    return receive


def primary_pixels(channel: Any) -> tuple[Primary, bytes]:
    """Return the primary surface's description and its pixels, BGRX, top-down, tightly packed.

    Raises LookupError when the channel has no primary and ValueError when its format does not have four bytes a pixel.
    """
    primary = Primary()
    if not spice.spice_display_channel_get_primary(pointer_of(channel), 0, byref(primary)):
        raise LookupError("the display channel has no primary surface")
    if primary.format not in FORMATS_OF_FOUR_BYTES:
        raise ValueError(f"surface format {primary.format} does not have four bytes a pixel")
    row = primary.width * 4
    if primary.stride == row:
        return primary, ctypes.string_at(primary.data, row * primary.height)
    rows = (ctypes.string_at(primary.data + y * primary.stride, row) for y in range(primary.height))
    return primary, b"".join(rows)


def monitors(channel: Any) -> list[dict[str, int]]:
    """Return the heads of a display channel, from its GArray property."""
    array = POINTER(Array)()
    gobject.g_object_get(c_void_p(pointer_of(channel)), b"monitors", byref(array), None)
    if not array:
        return []
    found = (Monitor * array.contents.length).from_address(array.contents.data) if array.contents.length else ()
    heads = [{name: getattr(monitor, name) for name in MONITOR_FIELDS} for monitor in found]
    glib.g_array_unref(ctypes.cast(array, c_void_p))
    return heads


def session_uuid(session: Any) -> str | None:
    """Return the guest's UUID as 32 hexadecimal digits, None before the server has told it."""
    address = c_void_p()
    gobject.g_object_get(c_void_p(pointer_of(session)), b"uuid", byref(address), None)
    return ctypes.string_at(address.value, UUID_SIZE).hex() if address.value else None


def clipboard_grab(channel: Any, selection: int, types: list[int]) -> None:
    """Tell the guest's agent that the client owns a selection, offered as these VD_AGENT_CLIPBOARD types."""
    spice.spice_main_channel_clipboard_selection_grab(
        pointer_of(channel), selection, (c_uint32 * len(types))(*types), len(types)
    )


def clipboard_notify(channel: Any, selection: int, kind: int, data: bytes) -> None:
    """Answer the agent's request with the client's clipboard data."""
    spice.spice_main_channel_clipboard_selection_notify(pointer_of(channel), selection, kind, data, len(data))


def request_mouse_mode(channel: Any, mode: int) -> None:
    """Ask for a mouse mode; through PyGObject only the deprecated name of this call exists."""
    spice.spice_main_channel_request_mouse_mode(pointer_of(channel), mode)
