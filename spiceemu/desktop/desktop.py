"""The demo desktop: a screen that shows what its user does, as a person sees it in a client.

::

    desktop = Desktop(guest)
    desktop.tick(datetime.now())  # once a second
    desktop.show_clients([...])
    desktop.close()

All of it but one photograph is fills, copies and text, and only what changes is drawn: an idle desktop costs a client
less than 200 bytes a second. What belongs to one thing on the screen is in the modules beside this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spiceemu.desktop.card import Photograph
from spiceemu.desktop.clock import Bar, ClockPanel
from spiceemu.desktop.look import SKY_BOTTOM, SKY_DOT, SKY_TOP, lay_out
from spiceemu.desktop.note import NotePanel
from spiceemu.desktop.panels import ClientsPanel, ClipboardPanel, KeyboardPanel
from spiceemu.desktop.pointer import PointerPanel
from spiceemu.desktop.screen import Screen, gradient
from spiceemu.desktop.state import ShownChannel, ShownClient, State
from spiceemu.drawing.geometry import Rect
from spiceemu.guest.cursor import ARROW, HAND
from spiceemu.guest.displays import DisplayResized
from spiceemu.guest.keyboard import KeyEvent, LocksChanged
from spiceemu.guest.pointer import PointerEvent
from spiceemu.protocol.enums import MouseButton

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from spiceemu.desktop.look import Layout
    from spiceemu.desktop.widgets import Panel
    from spiceemu.guest.machine import Guest, GuestEvent

__all__ = ["Desktop", "ShownChannel", "ShownClient"]

_PANELS: Final[dict[str, type[Panel]]] = {
    "note": NotePanel,
    "clock": ClockPanel,
    "pointer": PointerPanel,
    "keyboard": KeyboardPanel,
    "clipboard": ClipboardPanel,
    "clients": ClientsPanel,
}


class Desktop:
    """A desktop on one display of a guest, drawn from now until :meth:`close`.

    :param display_id: which display; its first head has the panels.
    """

    def __init__(self, guest: Guest, display_id: int = 0) -> None:
        self._guest = guest
        self._display = guest.displays[display_id]
        self._state = State(guest, screen=self._display.heads[0].box)
        self._screen = Screen(self._display)
        self._panels: dict[str, Panel] = {}
        self._photograph: Photograph | None = None
        self._arrange()
        self._unsubscribe = guest.subscribe(self._on_event)

    def tick(self, now: datetime) -> None:
        """Show the time; meant to be called at each full second."""
        self._state.now = now
        self._state.wheel_lit = 0
        self._refresh("bar", "clock", "pointer")

    def show_clients(self, clients: Sequence[ShownClient]) -> None:
        """Show who is connected; the same again draws nothing."""
        self._state.clients = clients
        self._refresh("bar", "clients")

    def close(self) -> None:
        """Follow the guest no more; the last picture stays."""
        self._unsubscribe()
        self._guest.cursor.set_shape(ARROW)
        if self._photograph is not None:
            self._photograph.floating.close()
            self._photograph = None

    # Drawing everything

    def _arrange(self) -> None:
        """Draw all anew, on a screen of perhaps another size."""
        self._screen.floating = None
        self._state.screen = self._display.heads[0].box
        layout = lay_out(self._state.screen)
        self._draw_sky(layout)
        self._draw_panels(layout)
        self._place_photograph(layout)
        self._screen.settle()

    def _draw_sky(self, layout: Layout) -> None:
        """A gradient, and a grid of dots: the first column of them is drawn, and copied twice as wide each time."""
        screen, bounds, unit = self._screen, self._display.primary.bounds, layout.look.scale
        for band, color in gradient(bounds, SKY_TOP, SKY_BOTTOM):
            screen.fill(band, color)
        cell = 32 * unit
        for y in range(layout.bar.bottom + cell // 2, bounds.height, cell):
            screen.fill(Rect(cell // 2, y, 2 * unit, 2 * unit), SKY_DOT)
        width = cell
        while width < bounds.width:
            screen.copy(Rect(0, 0, width, bounds.height), (width, 0))
            width *= 2

    def _draw_panels(self, layout: Layout) -> None:
        screen, look, state = self._screen, layout.look, self._state
        self._panels = {"bar": Bar(screen, layout.bar, look, state, with_time="clock" not in layout.panels)}
        for name, box in layout.panels.items():
            self._panels[name] = _PANELS[name](screen, box, look, state)

    def _place_photograph(self, layout: Layout) -> None:
        """Put the photograph where it was, or where it belongs; a screen that it does not fit on has none."""
        home = layout.card
        fits = home.width <= self._display.width and home.height <= self._display.height
        photograph = self._photograph
        if photograph is not None and (not fits or photograph.box[2:] != home[2:]):
            photograph.floating.close()
            photograph = None
        if photograph is None and fits:
            photograph = Photograph(self._display, home, layout.look)
        if photograph is not None:
            photograph.floating.forget()
            photograph.let_go()
            where = photograph.box if photograph.was_moved else home
            photograph.put(where.x, where.y)
            self._screen.floating = photograph.floating
        self._photograph = photograph

    # Drawing what changed

    @property
    def _note(self) -> NotePanel | None:
        panel = self._panels.get("note")
        return panel if isinstance(panel, NotePanel) else None

    def _refresh(self, *names: str) -> None:
        for name in names:
            if name in self._panels:
                self._panels[name].refresh()
        self._screen.settle()

    def _on_event(self, event: GuestEvent) -> None:
        match event:
            case KeyEvent():
                self._state.on_key(event)
                if self._note is not None:
                    self._note.on_key(event)
                self._refresh("keyboard")
            case LocksChanged():
                self._refresh("keyboard")
            case PointerEvent():
                if event.display_id == self._display.id:
                    self._on_pointer(event)
                self._refresh("pointer")
            case DisplayResized():
                if event.display_id == self._display.id:
                    self._arrange()
            case _:
                self._refresh("clipboard")

    def _on_pointer(self, event: PointerEvent) -> None:
        self._state.on_pointer(event)
        x, y = event.x, event.y
        if event.button == MouseButton.LEFT:
            (self._on_press if event.pressed else self._on_release)(x, y)
        elif self._photograph is not None:
            self._photograph.drag(x, y)
        if self._photograph is not None and self._photograph.is_at(x, y):
            shape = HAND
        else:
            shape = ARROW if self._note is None else self._note.cursor_at(x, y)
        self._guest.cursor.set_shape(shape)

    def _on_press(self, x: int, y: int) -> None:
        if self._photograph is not None and self._photograph.is_at(x, y):
            self._photograph.hold(x, y)
        elif self._note is not None:
            self._note.on_press(x, y)

    def _on_release(self, x: int, y: int) -> None:
        if self._photograph is not None:
            self._photograph.let_go()
        if self._note is not None:
            self._note.on_release(x, y)
