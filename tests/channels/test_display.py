"""The display channel: what a client is sent, and that it shows what the guest drew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import Phase, given, settings, strategies as st

from spiceemu.channels import channel as channel_module, display as display_module
from spiceemu.channels.display import INIT_TIMEOUT, MAX_PRODUCED, MAX_QUEUED, MAX_QUEUED_BYTES, DisplayChannel
from spiceemu.channels.lowering import LOWERINGS, Lowerings
from spiceemu.channels.pixmap_cache import ClientCache
from spiceemu.channels.window import ACK_WINDOW, AckWindow
from spiceemu.codecs.compression import AUTO, COMPRESSIONS, LZ, OFF
from spiceemu.codecs.table import CODECS, Codec
from spiceemu.errors import IllegalMessage, LimitExceeded
from spiceemu.events import DisplayReady, Event, PreferredCompression, PreferredVideoCodecs, Synced
from spiceemu.guest.display import Display, Head
from spiceemu.protocol.capabilities import ChannelType, DisplayCap
from spiceemu.protocol.enums import BrushType, ImageType
from spiceemu.protocol.levels.level import CURRENT, Level, changed
from spiceemu.protocol.messages import base, display, draw
from spiceemu.protocol.messages.message import Message
from spiceemu.protocol.messages.types import ChannelWait, Edges, Point

from .drawings import DRAWINGS, Step, do_drawing, noise, steps_of, surface_of
from .far_side import FarSide, Wake, linked, names
from .painter import Painter

INIT = display.Init(1, 1 << 22, 1, 0)
WITHOUT_PINGS = changed(CURRENT, "-CHANNEL_PINGS")
NO_CACHE = display.Init(1, 0, 1, 0)


class Shown(FarSide):
    """A guest's display, its channel, and a client that paints what it gets."""

    def __init__(
        self,
        guest: Display | None = None,
        *,
        compression: str = OFF,
        capabilities: tuple[int, ...] = (DisplayCap.MONITORS_CONFIG,),
        init: display.Init | None = INIT,
        mini: bool = True,
        answering: bool = True,
        number: int = 0,
        level: Level = CURRENT,
        pictures: ClientCache | None = None,
        codecs: Sequence[Codec] = CODECS,
        lowerings: Lowerings = LOWERINGS,
    ) -> None:
        self.guest = guest or Display(number, 64, 48)
        self.wake = Wake()
        channel = DisplayChannel(
            linked(ChannelType.DISPLAY, number, mini=mini, capabilities=capabilities, level=level),
            self.wake,
            shown=self.guest,
            compression=compression,
            now=0.0,
            pictures=pictures,
            codecs=codecs,
            lowerings=lowerings,
        )
        super().__init__(channel, mini=mini, answering=answering)
        self.display = channel
        self.painter = Painter()
        if init is not None:
            self.say(init)

    def read_once(self, now: float = 0.0) -> list[Message]:
        messages = super().read_once(now)
        for message in messages:
            self.painter.paint(message)
        return messages

    def read_unpainted(self) -> list[Message]:
        """As ``read``, for what the painter cannot paint."""
        found: list[Message] = []
        while messages := super().read_once():
            found += messages
        return found

    def assert_same(self) -> None:
        """Compare every surface that the client has with the guest's."""
        shot = self.guest.screenshot()
        assert (self.painter.primary.width, self.painter.primary.height) == (shot.width, shot.height)
        assert self.painter.primary.pixels == shot.pixels
        for number, canvas in self.painter.surfaces.items():
            pixels = bytearray(self.guest.surfaces[number].pixels)
            pixels[3::4] = bytes(len(pixels) // 4)
            assert canvas.pixels == pixels, f"surface {number}"


@pytest.fixture
def shown() -> Shown:
    """A client that has the first picture."""
    made = Shown()
    made.read()
    return made


def overflow(guest: Display) -> None:
    """Draw more than a client's queue holds; the picture stays what it was but for the first pixel."""
    for _ in range(MAX_QUEUED + 1):
        guest.fill((0, 0, 1, 1), "red")


# The start


@pytest.mark.parametrize("mini", [True, False])
def test_the_start_comes_in_the_order_of_real_servers(mini: bool) -> None:
    shown = Shown(mini=mini)
    messages = shown.read()
    order = ["SetAck", "InvalAllPalettes", "SurfaceCreate", "DrawCopy", "MonitorsConfig", "Mark"]
    assert names(messages) == order
    assert messages[0] == base.SetAck(1, ACK_WINDOW)
    assert shown.painter.heads == [(0, 0, 0, 64, 48)]
    assert shown.painter.marked
    shown.assert_same()


def test_without_the_capability_there_is_no_monitors_config() -> None:
    shown = Shown(capabilities=())
    assert names(shown.read()) == ["SetAck", "InvalAllPalettes", "SurfaceCreate", "DrawCopy", "Mark"]


def test_nothing_is_sent_before_init() -> None:
    shown = Shown(init=None)
    shown.guest.fill((0, 0, 9, 9), "red")
    shown.guest.resize(80, 60)
    overflow(shown.guest)
    shown.display.mark(1, 0.0)
    assert shown.read() == []
    assert not shown.display.ready
    assert shown.say(INIT) == [DisplayReady(0)]
    shown.read()
    shown.assert_same()
    assert shown.events == [DisplayReady(0), Synced(ChannelType.DISPLAY, 0, 1)]


def test_what_was_cached_is_sent_again_after_it_was_forgotten(shown: Shown) -> None:
    flags = []
    for forget in (False, False, True, False):
        if forget:
            shown.display.invalidate()
        shown.guest.blit((0, 0), 20, 20, noise(1, 20, 20))
        flags += [each.data.src_bitmap.descriptor.type for each in shown.read() if isinstance(each, draw.DrawCopy)]  # type: ignore[union-attr]
    assert flags == [ImageType.BITMAP, ImageType.FROM_CACHE, ImageType.BITMAP, ImageType.FROM_CACHE]


def test_what_no_longer_fits_the_clients_cache_is_withdrawn_first() -> None:
    shown = Shown(init=display.Init(1, 600, 1, 0))
    shown.read()
    orders = []
    for seed in (1, 2, 1, 3, 2, 1):
        shown.guest.blit((0, 0), 16, 16, noise(seed, 16, 16))
        orders.append(names(shown.read()))
        assert len(shown.painter.cache) <= 2
    shown.assert_same()
    known, new, withdrawn = ["DrawCopy"], ["DrawCopy"], ["InvalList", "DrawCopy"]
    assert orders == [new, new, known, withdrawn, withdrawn, withdrawn]


def test_all_displays_forget_what_they_share() -> None:
    pictures = ClientCache()
    first, second = Shown(pictures=pictures), Shown(number=1, pictures=pictures)
    for each in (first, second):
        each.guest.blit((0, 0), 20, 20, noise(1, 20, 20))
        each.read()
    second.guest.fill((0, 0, 1, 1), "red")  # not sent yet: it is drawn with the new cache
    drawn = len(second.received)
    first.display.invalidate([second.display, Shown(init=None, number=2, pictures=pictures).display])
    wait, palettes = first.read()
    assert wait == display.InvalAllPixmaps([ChannelWait(ChannelType.DISPLAY, 1, drawn)])
    assert palettes == display.InvalAllPalettes()
    forgotten = ChannelWait(ChannelType.DISPLAY, 0, len(first.received) - 1)
    second.guest.blit((0, 0), 20, 20, noise(1, 20, 20))
    held, palettes, fill, copy = second.read()
    assert held == base.WaitForChannels([forgotten])
    assert names([palettes, fill]) == ["InvalAllPalettes", "DrawFill"]
    assert copy.data.src_bitmap.descriptor.type == ImageType.BITMAP  # type: ignore[attr-defined]
    second.assert_same()


def test_nothing_is_forgotten_before_init() -> None:
    shown = Shown(init=None)
    shown.display.invalidate()
    assert shown.read() == []


def test_init_tells_the_sizes_of_the_clients_caches() -> None:
    (event,) = Shown(init=display.Init(1, 1 << 40, 1, -5)).events
    assert isinstance(event, DisplayReady)
    assert (event.pixmap_cache_size, event.glz_dictionary_window_size) == (1 << 40, -5)


def test_a_second_init_is_illegal(shown: Shown) -> None:
    with pytest.raises(IllegalMessage, match=r"display:0: a second display\.Init"):
        shown.say(INIT)


def test_a_client_without_init_is_refused_after_its_time() -> None:
    shown = Shown(init=None)
    shown.channel.check_time(INIT_TIMEOUT)
    with pytest.raises(LimitExceeded, match="INIT_TIMEOUT 30 s"):
        shown.channel.check_time(INIT_TIMEOUT + 0.1)
    shown.say(INIT)
    shown.channel.check_time(INIT_TIMEOUT + 0.1)


def test_wishes_of_the_client_are_events(shown: Shown) -> None:
    said = shown.say(display.PreferredCompression(3), display.PreferredVideoCodecType([2, 1]))
    assert said == [PreferredCompression(3), PreferredVideoCodecs((2, 1))]


def test_a_gl_draw_that_was_never_sent_is_not_done(shown: Shown) -> None:
    with pytest.raises(IllegalMessage):
        shown.say(display.GlDrawDone())


def test_a_report_of_a_stream_that_is_not_there_is_passed_over(shown: Shown) -> None:
    assert shown.say(display.StreamReport(*[0] * 8)) == []


# Each drawing stays what it is


def test_a_fill_stays_a_fill(shown: Shown) -> None:
    shown.guest.fill((1, 2, 10, 20), 0x123456)
    (message,) = shown.read()
    assert isinstance(message, draw.DrawFill)
    assert message.base.box == Edges(2, 1, 22, 11)
    assert (message.data.brush.type, message.data.brush.u) == (BrushType.SOLID, 0x123456)
    shown.assert_same()


@pytest.mark.parametrize("to", [(3, 3), (0, 0), (20, 9)])
def test_a_copy_stays_a_copy(shown: Shown, to: tuple[int, int]) -> None:
    shown.guest.blit((0, 0), 30, 30, noise(1, 30, 30))
    shown.guest.copy((2, 1, 25, 25), to)
    blit, copy = shown.read()
    assert isinstance(blit, draw.DrawCopy)
    assert isinstance(copy, draw.CopyBits)
    assert copy.src_pos == Point(2, 1)
    shown.assert_same()


def test_a_copy_between_surfaces_is_a_surface_image(shown: Shown) -> None:
    offscreen = shown.guest.create_surface(20, 20)
    shown.guest.blit((0, 0), 20, 20, noise(1, 20, 20), surface=offscreen)
    shown.guest.copy_surface(offscreen, (5, 5, 10, 10), (7, 9))
    *_, copy = messages = shown.read()
    assert names(messages) == ["SurfaceCreate", "DrawFill", "DrawCopy", "DrawCopy"]
    assert isinstance(copy, draw.DrawCopy)
    assert copy.data.src_bitmap is not None
    assert copy.data.src_bitmap.descriptor.type == ImageType.SURFACE
    assert (copy.data.src_bitmap.descriptor.width, copy.data.src_bitmap.descriptor.height) == (20, 20)
    shown.assert_same()
    shown.guest.destroy_surface(offscreen)
    assert shown.read() == [display.SurfaceDestroy(offscreen)]


def test_text_is_a_picture_of_its_cells(shown: Shown) -> None:
    shown.guest.text((3, 4), "spice", color="white")
    assert names(shown.read()) == ["DrawCopy"]
    shown.assert_same()


def test_what_is_outside_is_not_sent(shown: Shown) -> None:
    shown.guest.fill((64, 0, 5, 5), "red")
    shown.guest.blit((-10, -10), 5, 5, bytes(100))
    assert shown.read() == []


@pytest.mark.parametrize(
    ("compression", "small", "flat", "loud"),
    [
        (OFF, ImageType.BITMAP, ImageType.BITMAP, ImageType.BITMAP),
        (LZ, ImageType.LZ_RGB, ImageType.LZ_RGB, ImageType.LZ_RGB),
        (AUTO, ImageType.BITMAP, ImageType.LZ_RGB, ImageType.BITMAP),
    ],
)
def test_compression(compression: str, small: ImageType, flat: ImageType, loud: ImageType) -> None:
    shown = Shown(compression=compression)
    shown.read()
    shown.guest.blit((0, 0), 4, 4, noise(1, 4, 4))
    shown.guest.blit((0, 0), 30, 30, bytes(3600))
    shown.guest.blit((0, 0), 29, 30, noise(2, 29, 30))
    types = [message.data.src_bitmap.descriptor.type for message in shown.read()]  # type: ignore[attr-defined]
    assert types[:2] == [small, flat]
    # LZ leaves the X bytes out, so that even noise becomes a little shorter.
    assert types[2] in (loud, ImageType.LZ_RGB)
    shown.assert_same()


# Surfaces that the client does not know


def test_a_late_joiner_gets_other_surfaces_when_they_are_used() -> None:
    guest = Display(0, 64, 48)
    first, second = guest.create_surface(8, 8), guest.create_surface(9, 9, has_alpha=True)
    guest.fill((0, 0, 9, 9), "green", surface=second)
    shown = Shown(guest)
    shown.read()
    assert set(shown.painter.surfaces) == {0}
    guest.fill((0, 0, 2, 2), "red", surface=first)
    assert names(shown.read()) == ["SurfaceCreate", "DrawCopy"]
    guest.copy_surface(second, (0, 0, 9, 9), (1, 1))
    assert names(shown.read()) == ["SurfaceCreate", "DrawCopy", "DrawCopy"]
    shown.assert_same()


def test_a_copy_from_an_unknown_surface_to_another_unknown_one() -> None:
    guest = Display(0, 64, 48)
    first, second = guest.create_surface(8, 8), guest.create_surface(9, 9)
    shown = Shown(guest)
    shown.read()
    guest.fill((0, 0, 8, 8), "green", surface=first)
    guest.copy_surface(first, (0, 0, 8, 8), (1, 1), surface=second)
    guest.copy_surface(second, (0, 0, 9, 9), (5, 5))
    shown.read()
    shown.assert_same()


def test_an_unknown_surface_may_go_unseen() -> None:
    guest = Display(0, 64, 48)
    offscreen = guest.create_surface(8, 8)
    shown = Shown(guest)
    shown.read()
    guest.destroy_surface(offscreen)
    assert shown.read() == []


def test_a_surface_changes_after_it_was_introduced_in_the_queue() -> None:
    guest = Display(0, 64, 48)
    offscreen = guest.create_surface(8, 8)
    shown = Shown(guest)
    shown.read()
    guest.copy_surface(offscreen, (0, 0, 8, 8), (0, 0))
    guest.fill((0, 0, 8, 8), "red", surface=offscreen)
    guest.copy_surface(offscreen, (0, 0, 4, 4), (20, 20))
    guest.destroy_surface(offscreen)
    shown.read()
    shown.assert_same()
    assert set(shown.painter.surfaces) == {0}


# Resizing


def test_a_resize_comes_in_order(shown: Shown) -> None:
    shown.guest.blit((0, 0), 64, 48, noise(1, 64, 48))
    shown.read()
    shown.guest.resize(100, 30)
    messages = shown.read()
    order = ["SurfaceDestroy", "SurfaceCreate", "DrawFill", "DrawCopy", "MonitorsConfig", "Mark"]
    assert names(messages) == order
    assert shown.painter.heads == [(0, 0, 0, 100, 30)]
    shown.assert_same()


def test_the_same_size_again_sends_nothing(shown: Shown) -> None:
    shown.guest.resize(64, 48)
    assert shown.read() == []


def test_heads_without_a_new_size_are_a_config_alone(shown: Shown) -> None:
    shown.guest.set_heads([Head(0, 0, 0, 32, 48), Head(1, 32, 0, 32, 48)])
    (message,) = shown.read()
    assert isinstance(message, display.MonitorsConfig)
    assert message.max_allowed == 2
    assert shown.painter.heads == [(0, 0, 0, 32, 48), (1, 32, 0, 32, 48)]


def test_each_config_of_several_resizes_fits_its_own_surface(shown: Shown) -> None:
    # The painter refuses heads outside the primary surface of their time.
    shown.guest.resize(32, 24)
    shown.guest.resize(128, 96)
    shown.guest.resize(20, 20)
    configs = [message for message in shown.read() if isinstance(message, display.MonitorsConfig)]
    assert [(config.heads[0].width, config.heads[0].height) for config in configs] == [(32, 24), (128, 96), (20, 20)]
    shown.assert_same()


def test_without_the_capability_a_resize_still_ends_in_mark() -> None:
    shown = Shown(capabilities=())
    shown.read()
    shown.guest.resize(32, 24)
    assert names(shown.read()) == ["SurfaceDestroy", "SurfaceCreate", "DrawFill", "DrawCopy", "Mark"]


# Overflow


def test_a_full_queue_is_sent_one_by_one(shown: Shown) -> None:
    for number in range(MAX_QUEUED):
        shown.guest.fill((number % 64, 0, 1, 48), number)
    assert shown.display.collapses == 0
    assert names(shown.read()) == ["DrawFill"] * MAX_QUEUED
    shown.assert_same()


def test_one_more_becomes_a_merged_update(shown: Shown) -> None:
    for number in range(MAX_QUEUED + 1):
        shown.guest.fill((2 + number % 10, 3, 1, 4), number)
    assert shown.display.collapses == 1
    (message,) = shown.read()
    assert isinstance(message, draw.DrawCopy)
    assert message.base.box == Edges(3, 2, 7, 12)
    shown.assert_same()
    shown.guest.fill((0, 0, 1, 1), "red")
    assert names(shown.read()) == ["DrawFill"]


def test_pixels_that_wait_are_bounded_in_bytes() -> None:
    shown = Shown(Display(0, 1024, 1024))
    shown.read()
    frame = noise(1, 1024, 1024)
    frames = MAX_QUEUED_BYTES // len(frame)
    for _ in range(frames):
        shown.guest.blit((0, 0), 1024, 1024, frame)
    assert shown.display.collapses == 0
    shown.guest.blit((0, 0), 1, 1, bytes(4))
    assert shown.display.collapses == 1
    assert names(shown.read()) == ["DrawCopy"]
    shown.assert_same()
    for _ in range(frames):
        shown.guest.blit((0, 0), 1024, 1024, frame)
    assert shown.display.collapses == 1


def test_bytes_that_wait_are_counted_again_after_they_were_sent() -> None:
    shown = Shown(Display(0, 1024, 1024))
    shown.read()
    frame = noise(1, 1024, 1024)
    for _ in range(3 * MAX_QUEUED_BYTES // len(frame)):
        shown.guest.blit((0, 0), 1024, 1024, frame)
        shown.guest.text((0, 0), "text", color="red")
        shown.read()
    assert shown.display.collapses == 0


def test_an_overflow_with_surfaces_that_came_and_went(shown: Shown) -> None:
    kept, gone, replaced, regrown = [shown.guest.create_surface(8, 8) for _ in range(4)]
    shown.read()
    overflow(shown.guest)
    shown.guest.fill((0, 0, 3, 3), "red", surface=kept)
    for number in (gone, replaced, regrown):
        shown.guest.destroy_surface(number)
    assert shown.guest.create_surface(8, 8) == gone
    assert shown.guest.create_surface(9, 9) == replaced
    shown.guest.fill((0, 0, 8, 8), "blue", surface=gone)
    shown.guest.destroy_surface(gone)
    assert shown.guest.create_surface(8, 8) == gone
    shown.guest.fill((1, 1, 8, 8), "green", surface=gone)
    created_late = shown.guest.create_surface(5, 5)
    shown.guest.fill((0, 0, 5, 5), "white", surface=created_late)
    shown.read()
    shown.assert_same()
    assert set(shown.painter.surfaces) == {0, kept, gone}
    for number in (kept, gone, replaced, created_late):
        shown.guest.copy_surface(number, (0, 0, 9, 9), (number * 9, 0))
    shown.read()
    shown.assert_same()


def test_an_overflow_with_a_resize(shown: Shown) -> None:
    overflow(shown.guest)
    shown.guest.resize(30, 20)
    assert names(shown.read()) == ["SurfaceDestroy", "SurfaceCreate", "DrawCopy", "MonitorsConfig", "Mark"]
    shown.assert_same()


def test_an_overflow_with_a_resize_and_back(shown: Shown) -> None:
    overflow(shown.guest)
    shown.guest.resize(30, 20)
    shown.guest.resize(64, 48)
    shown.read()
    shown.assert_same()
    assert shown.painter.heads == [(0, 0, 0, 64, 48)]


def test_a_resize_whose_end_was_dropped_still_ends_in_mark(shown: Shown) -> None:
    shown.guest.resize(640, 480)
    first = display_module.MAX_PRODUCED
    assert first < 640 * 480 * 4 * 2
    for _ in range(MAX_QUEUED):
        shown.guest.fill((0, 0, 1, 1), "red")
    shown.read()
    shown.assert_same()
    assert shown.painter.marked


def test_a_repaint_with_many_surfaces_keeps_to_the_window_and_to_its_amount(shown: Shown) -> None:
    surfaces = [shown.guest.create_surface(128, 128) for _ in range(100)]
    shown.read()
    for number in surfaces:
        for _ in range(6):
            shown.guest.fill((0, 0, 128, 128), number, surface=number)
    assert shown.display.collapses == 1
    while True:
        assert shown.display.window is not None
        before = shown.display.window.outstanding
        messages = shown.read_once()
        if not messages:
            break
        assert before + len(messages) <= 2 * ACK_WINDOW + 1
        assert sum(len(message.build()) for message in messages) < MAX_PRODUCED + 128 * 128 * 4 + 1024
    shown.assert_same()


def test_drawing_goes_on_while_a_repaint_is_sent(shown: Shown) -> None:
    surfaces = [shown.guest.create_surface(128, 128) for _ in range(30)]
    shown.read()
    for number in surfaces:
        for _ in range(20):
            shown.guest.fill((0, 0, 128, 128), number, surface=number)
    assert shown.display.collapses == 1
    step = 0
    while shown.read_once():
        step += 1
        if step > 20:
            continue
        shown.guest.fill((0, 0, 9, 9), "red", surface=surfaces[0])
        shown.guest.copy_surface(surfaces[1], (0, 0, 5, 5), (step, step))
        shown.guest.destroy_surface(surfaces[1 + step])
        if step % 2:
            shown.guest.create_surface(128 + step % 4 - 1, 128)
    shown.assert_same()
    for number in list(shown.guest.surfaces):
        shown.guest.copy_surface(number, (0, 0, 2, 2), (number, 0))
    shown.read()
    shown.assert_same()


def test_what_belongs_together_keeps_to_the_window_as_well() -> None:
    """MARK stands behind MONITORS_CONFIG, and waits for its place like every other message."""
    shown = Shown(answering=False)
    shown.read()
    window = shown.display.window
    assert window is not None
    while window.outstanding < 2 * ACK_WINDOW - 4:
        shown.guest.fill((0, 0, 1, 1), "red")
        shown.read()
    shown.guest.resize(40, 30)  # six messages
    assert names(shown.read()) == ["SurfaceDestroy", "SurfaceCreate", "DrawFill", "DrawCopy", "MonitorsConfig"]
    assert window.outstanding == 2 * ACK_WINDOW + 1
    shown.say(base.AckSync(1), base.Ack())
    assert names(shown.read()) == ["Mark"]
    shown.assert_same()


def test_the_window_closes_and_drawing_is_merged() -> None:
    shown = Shown(answering=False)
    shown.read()
    assert shown.display.window is not None
    for _ in range(3 * ACK_WINDOW):
        shown.guest.fill((0, 0, 1, 1), "red")
    shown.read()
    assert shown.display.window.outstanding == 2 * ACK_WINDOW + 1
    overflow(shown.guest)
    assert shown.read() == []
    shown.say(base.AckSync(1), base.Ack())
    assert names(shown.read()) == ["DrawCopy"]
    shown.assert_same()


def test_what_is_produced_at_a_time_is_bounded(shown: Shown) -> None:
    for number in range(100):
        shown.guest.blit((0, 0), 64, 48, noise(number, 64, 48))
    size = 64 * 48 * 4
    total = 0
    while messages := shown.read_once():
        assert len(messages) <= MAX_PRODUCED // size + 1
        total += len(messages)
    assert total == 100


# Marks


def test_a_mark_comes_after_what_was_drawn_before_it(shown: Shown) -> None:
    shown.guest.fill((0, 0, 1, 1), "red")
    shown.display.mark(1, 0.0)
    shown.guest.fill((0, 0, 1, 1), "blue")
    shown.display.mark(2, 0.0)
    assert names(shown.read()) == ["DrawFill", "Ping", "DrawFill", "Ping"]
    assert shown.events[1:] == [Synced(ChannelType.DISPLAY, 0, 1), Synced(ChannelType.DISPLAY, 0, 2)]


def test_a_mark_without_pings_comes_after_what_was_drawn_before_it() -> None:
    shown = Shown(level=WITHOUT_PINGS)
    shown.read()
    shown.guest.fill((0, 0, 1, 1), "red")
    shown.display.mark(1, 0.0)
    shown.guest.fill((0, 0, 1, 1), "blue")
    assert names(shown.read()) == ["DrawFill", "SetAck", "DrawFill"]
    assert shown.events[1:] == [Synced(ChannelType.DISPLAY, 0, 1)]


def test_a_mark_does_not_wait_for_what_is_drawn_after_it() -> None:
    shown = Shown(answering=False)
    shown.read()
    shown.display.mark(1, 0.0)
    for _ in range(100):
        shown.guest.fill((0, 0, 1, 1), "red")
    assert names(shown.read())[0] == "Ping"


def test_a_mark_outlives_an_overflow(shown: Shown) -> None:
    shown.guest.fill((0, 0, 1, 1), "red")
    shown.display.mark(1, 0.0)
    overflow(shown.guest)
    shown.display.mark(2, 0.0)
    assert names(shown.read()) == ["DrawCopy", "Ping", "Ping"]


def test_a_mark_wakes_the_connection(shown: Shown) -> None:
    before = shown.wake.count
    shown.display.mark(1, 0.0)
    assert shown.wake.count > before


def test_a_mark_waits_for_the_window() -> None:
    shown = Shown(answering=False)
    for _ in range(3 * ACK_WINDOW):
        shown.guest.fill((0, 0, 1, 1), "red")
        shown.read()
    shown.display.mark(1, 0.0)
    assert shown.read() == []
    shown.say(base.AckSync(1), base.Ack(), base.Ack())
    assert names(shown.read())[-1] == "Ping"


# The end


def test_a_closed_channel_hears_no_more(shown: Shown) -> None:
    shown.channel.close()
    shown.channel.close()
    shown.guest.fill((0, 0, 1, 1), "red")
    assert shown.read() == []


# Whatever the guest does

Action = Callable[[Display], None]


KINDS = (*DRAWINGS, "heads", "burst")


@st.composite
def actions(draw: Callable[..., Any]) -> Action:
    """One thing that a guest does."""
    step: Step = draw(steps_of(KINDS))
    kind, (x, y, width, height), chosen, other, value = step

    def act(guest: Display) -> None:
        match kind:
            case "heads":
                guest.set_heads([Head(0, 0, 0, width + 1, 40), Head(1, width + 1, other, 20, height + 1)])
            case "burst":
                surface = surface_of(guest, chosen)
                for number in range(value % 12):
                    guest.fill((x + number, y, width, height), value, surface=surface)
            case _:
                do_drawing(guest, step)

    act.__qualname__ = kind
    return act


def steps() -> st.SearchStrategy[list[Action | str]]:
    ways_to_read = st.sampled_from(["read", "read once", "mark", "forget", "hold", "release"])
    return st.lists(st.one_of(actions(), actions(), actions(), ways_to_read), max_size=40)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("queued", [MAX_QUEUED, 8])
@given(
    script=steps(),
    cache=st.sampled_from([0, 300, 700, 1 << 20]),
    window=st.sampled_from([1, 2, ACK_WINDOW]),
    mini=st.booleans(),
    lazy=st.booleans(),
    level=st.sampled_from([CURRENT, WITHOUT_PINGS]),
)
@settings(max_examples=60, phases=[Phase.explicit, Phase.generate, Phase.shrink])
def test_the_client_shows_what_the_guest_drew(
    compression: str,
    queued: int,
    script: list[Action | str],
    cache: int,
    window: int,
    mini: bool,
    lazy: bool,
    level: Level,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(display_module, "MAX_QUEUED", queued)
        patch.setattr(display_module, "MAX_PRODUCED", 4000)
        patch.setattr(channel_module, "AckWindow", lambda: AckWindow(window))
        guest = Display(0, 40, 30)
        init = None if lazy else display.Init(1, cache, 1, 0)
        shown = Shown(guest, compression=compression, init=init, mini=mini, level=level)
        marks = 0
        for step in script:
            match step:
                case "read":
                    shown.read()
                case "read once":
                    shown.read_once()
                case "mark":
                    marks += 1
                    shown.display.mark(marks, 0.0)
                case "forget":
                    shown.display.invalidate()
                case "hold":
                    shown.hold_answers()
                case "release":
                    shown.release_answers()
                case _:
                    assert callable(step)
                    step(guest)
        if lazy:
            shown.say(display.Init(1, cache, 1, 0))
        shown.release_answers()
        shown.read()
        shown.assert_same()
        assert shown.painter.marked
        assert shown.painter.heads == [(head.id, head.x, head.y, head.width, head.height) for head in guest.heads]
        found: list[Event] = [event for event in shown.events if isinstance(event, Synced)]
        assert found == [Synced(ChannelType.DISPLAY, 0, number + 1) for number in range(marks)]
        # What the client has not been told of yet must still be right once it is used.
        for number in sorted(guest.surfaces):
            if number:
                guest.copy_surface(number, (0, 0, 50, 50), (0, 0))
        shown.read()
        shown.assert_same()
