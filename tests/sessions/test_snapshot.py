"""Snapshots as files: what goes in comes out, and no file costs more than the limits say."""

from __future__ import annotations

import json
import re
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given, strategies as st

from spiceemu.channels.pixmap_cache import ENTRY, MAX_ENTRIES
from spiceemu.drawing.surface import MAX_HEIGHT, MAX_WIDTH
from spiceemu.errors import InvalidValue, LocalError, MalformedSnapshot
from spiceemu.guest.display import MAX_HEADS, MAX_SURFACE_ID
from spiceemu.guest.limits import MAX_DISPLAYS, MAX_NAME, MAX_NUMBER
from spiceemu.protocol.agent.stream import HEADER, MAX_WAITING
from spiceemu.sessions import snapshot
from spiceemu.sessions.snapshot import MAX_BLOBS, MAX_BODY, MAX_DEPTH, MAX_JSON, MAX_OBJECTS, check, dump, load

EXAMPLE: dict[str, Any] = {
    "name": "gäst",
    "numbers": [0, -1, (1 << 64) - 1, 1 - (1 << 64)],
    "truths": [True, False, None],
    "pixels": [b"\1\2\3\4" * 100, b"", b"\xff"],
    "inner": {"": {}, "list": []},
}

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(1 - (1 << 64), (1 << 64) - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda name: name[:1] != "$"), inner),
    max_leaves=20,
)


def packed(body: bytes, *, magic: bytes = b"SPICEEMU", version: int = 1, size: int | None = None) -> bytes:
    """A file of that body, by hand."""
    head = struct.pack("<8sIQ", magic, version, len(body) if size is None else size)
    return head + zlib.compress(body)


def body_of(text: str, *blobs: bytes) -> bytes:
    """A body of JSON and blobs, by hand."""
    data = text.encode()
    sizes = b"".join(struct.pack("<Q", len(blob)) for blob in blobs)
    return struct.pack("<II", len(data), len(blobs)) + sizes + data + b"".join(blobs)


def refusal(data: bytes) -> str:
    with pytest.raises(MalformedSnapshot) as caught:
        load(data)
    return str(caught.value)


def test_what_goes_in_comes_out() -> None:
    assert load(dump(EXAMPLE)) == EXAMPLE


@given(st.dictionaries(st.text().filter(lambda name: name[:1] != "$"), PLAIN, max_size=5))
def test_all_plain_data_come_out_as_they_went_in(state: dict[str, Any]) -> None:
    again = load(dump(state))
    assert again == state
    assert repr(again) == repr(state)  # True is not 1


def test_the_format_is_the_documented_one() -> None:
    data = dump({"a": b"xyz", "b": [b"", 7]})
    magic, version, size = struct.unpack_from("<8sIQ", data)
    body = zlib.decompress(data[20:])
    assert (magic, version, size) == (b"SPICEEMU", 1, len(body))
    assert body == body_of('{"a":{"$blob":0},"b":[{"$blob":1},7]}', b"xyz", b"")
    assert load(packed(body_of('{"a": {"$blob": 0}}', b"xyz"))) == {"a": b"xyz"}


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"a": {"b": [0, 1.5]}}, "a.b[1] is float 1.5, which is not plain data"),
        ({"a": {1}}, "a is set {1}, which is not plain data"),
        ({"a": (1,)}, "a is tuple (1,), which is not plain data"),
        ({"a": 1 << 64}, "a is int 18446744073709551616, which is not plain data"),
        ({"a": {1: 2}}, "a has the key 1"),
        ({"$blob": 2}, "state has the key '$blob'"),
        ({"a": [object]}, "a[0] is type"),
    ],
)
def test_what_is_no_plain_data_is_not_written(state: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidValue, match=re.escape(text)):
        dump(state)


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return {"a": value}


def test_data_may_be_nested_so_far() -> None:
    assert load(dump(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(InvalidValue, match=r"inside 32 dictionaries and lists, which is the limit"):
        dump(nested(MAX_DEPTH + 1))
    assert "inside 32 dictionaries" in refusal(packed(body_of(json.dumps(nested(MAX_DEPTH + 1)))))
    assert "inside each other" in refusal(packed(body_of("[" * 1_000_000)))


def test_more_than_the_limits_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MAX_BLOBS", 3)
    monkeypatch.setattr(snapshot, "MAX_JSON", 100)
    monkeypatch.setattr(snapshot, "MAX_BODY", 200)
    dump({"a": [b""] * 3})
    with pytest.raises(InvalidValue, match="at most 3 blobs, not 4"):
        dump({"a": [b""] * 4})
    with pytest.raises(InvalidValue, match="at most 100 bytes of JSON, not 108"):
        dump({"a": "x" * 100})
    with pytest.raises(InvalidValue, match="at most 200 bytes, not 233"):
        dump({"a": bytes(200)})
    with pytest.raises(InvalidValue, match="at most 200 bytes, not 233"):
        check({"a": bytes(200)})
    monkeypatch.setattr(snapshot, "MAX_OBJECTS", 3)
    check({"a": [[]]})
    with pytest.raises(InvalidValue, match="at most 3 dictionaries and lists, not 4"):
        dump({"a": [[], {}]})


def test_the_limits_fit_the_largest_guest_and_all_that_a_client_has_of_it() -> None:
    """Every surface takes its share and no more, at its greatest; what is left for the rest is enough for it."""
    pixels: dict[str, Any] = {
        "surfaces": [
            {"id": MAX_SURFACE_ID, "width": MAX_WIDTH, "height": MAX_HEIGHT, "has_alpha": False, "pixels": b""}
            for _ in range(MAX_SURFACE_ID + 1)
        ]
    }
    shown = {
        "created": [[MAX_SURFACE_ID, MAX_WIDTH, MAX_HEIGHT, False]] * (MAX_SURFACE_ID + 1),
        "dirty": [[MAX_SURFACE_ID, *[MAX_WIDTH] * 4]] * (MAX_SURFACE_ID + 1),
        "monitors_due": False,
        "mark_due": False,
        "cache": ENTRY.pack(MAX_NUMBER, MAX_NUMBER) * MAX_ENTRIES,
    }
    heads = [dict.fromkeys(("id", "x", "y", "width", "height"), MAX_NUMBER)] * MAX_HEADS
    waiting = [HEADER.size] * (MAX_WAITING // HEADER.size)  # for the agent's client
    per_display, rest = sizes_of([pixels, shown, {"heads": heads}]), sizes_of([waiting, "\0" * MAX_NAME])
    most = [MAX_DISPLAYS * each + other for each, other in zip(per_display, rest, strict=True)]
    most[0] += MAX_DISPLAYS * (MAX_SURFACE_ID + 1) * len(str(MAX_BLOBS))  # the numbers of blobs are short here
    assert most[0] < MAX_JSON
    assert most[1] + MAX_NAME < MAX_OBJECTS  # a name may be of brackets
    assert most[2] < MAX_BLOBS


def sizes_of(parts: list[Any]) -> tuple[int, int, int]:
    """How many bytes of JSON these take, how many dictionaries and lists, and how many blobs."""
    body = zlib.decompress(dump({"": parts})[20:])
    size, blobs = struct.unpack_from("<II", body)
    text = body[8 + 8 * blobs :][:size]
    return size, text.count(b"{") + text.count(b"["), blobs


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "at offset 0: b'', a snapshot begins with b'SPICEEMU'"),
        (b"\x89PNG\r\n\x1a\n", "at offset 0"),
        (b"SPICEEMU\1\0", "at offset 10: the head of 20 bytes is cut off"),
        (packed(b"", version=2), "at offset 8: version 2, this program reads version 1"),
        (packed(b"", version=0), "at offset 8: version 0"),
        (packed(b"", size=MAX_BODY + 1), "at offset 12: a body of 1073741825 bytes, the limit is 1073741824"),
        (packed(b"", size=(1 << 64) - 1), "at offset 12"),
        (packed(b""), "body at offset 0: counts of 8 bytes, 0 of the body are left"),
        (packed(struct.pack("<II", MAX_JSON + 1, 0)), f"body at offset 0: {MAX_JSON + 1} bytes of JSON, the limit is"),
        (packed(struct.pack("<II", 0, MAX_BLOBS + 1)), f"body at offset 4: {MAX_BLOBS + 1} blobs, the limit is"),
        (packed(body_of("[" * (MAX_OBJECTS + 1))), f"JSON: {MAX_OBJECTS + 1} dictionaries and lists, the limit is"),
        (packed(struct.pack("<II", 0, 2) + bytes(8)), "sizes of blobs of 16 bytes, 8 of the body are left"),
        (packed(struct.pack("<II", 5, 0) + b"{}"), "body at offset 8: JSON of 5 bytes, 2 of the body are left"),
        (packed(struct.pack("<IIQ", 2, 1, 1 << 63) + b"{}"), "blob 0 of 9223372036854775808 bytes, 0 of the body"),
        (packed(body_of("{}") + b"!!"), "body at offset 10: 2 bytes that belong to nothing"),
        (packed(body_of("{}") + b"!", size=10), "body at offset 10: it is longer than the file says"),
        (packed(body_of("{}"), size=12), "2 bytes that belong to nothing"),
        (packed(struct.pack("<IIQ", 2, 1, 4) + b"{}x", size=22), "body at offset 19: blob 0 is cut off, 3 bytes"),
        (packed(body_of("{}")) + b"more", "at the end: 4 bytes behind the snapshot"),
        (packed(body_of("{}"))[:-1], "its check sum is cut off"),
        (packed(body_of("{}"))[:20], "counts is cut off, 8 bytes are missing"),
        (packed(body_of("{}"))[:20] + b"\x78\0\0\0", "incorrect header check"),
        (packed(body_of("[]")), "JSON: a list, not an object"),
        (packed(body_of("{")), "JSON: Expecting property name"),
        (packed(body_of("")), "JSON: Expecting value"),
        (packed(struct.pack("<II", 2, 0) + b"\xff\xff"), "JSON: 'utf-8' codec can't decode"),
        (packed(body_of('{"a": 1.5}')), "JSON: 1.5 is not an integer"),
        (packed(body_of('{"a": NaN}')), "JSON: NaN is not an integer"),
        (packed(body_of('{"a": [18446744073709551616]}')), "JSON: a[0] has more than 64 bits"),
        (packed(body_of('{"a": ' + "9" * 5000 + "}")), "JSON: Exceeds the limit"),
        (packed(body_of('{"a": {"$blob": 1}}', b"x")), "JSON: a refers to blob 1, there are 1"),
        (packed(body_of('{"a": {"$blob": -1}}', b"x")), "JSON: a refers to blob -1"),
        (packed(body_of('{"a": {"$blob": true}}', b"x")), "JSON: a refers to blob True"),
        (packed(body_of('{"a": {"$blob": 0, "b": 1}}', b"x")), "JSON: a refers to blob 0"),
    ],
)
def test_what_is_no_snapshot_is_refused(data: bytes, text: str) -> None:
    assert text in refusal(data)


def test_every_truncation_is_refused() -> None:
    data = dump(EXAMPLE)
    for end in range(len(data)):
        refusal(data[:end])


@given(st.data())
def test_a_damaged_byte_is_refused_or_means_nothing(data: st.DataObject) -> None:
    damaged = bytearray(dump(EXAMPLE))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert load(bytes(damaged)) == EXAMPLE  # how hard zlib tried, or the bits behind its last code
    except MalformedSnapshot:
        return


@given(st.binary(max_size=200))
def test_whatever_a_body_holds_is_read_or_refused(body: bytes) -> None:
    try:
        load(packed(body))
    except MalformedSnapshot:
        return


BOMB = zlib.compress(bytes(64 << 20))


@pytest.mark.parametrize(
    ("head", "most"),
    [
        (struct.pack("<8sIQ", b"SPICEEMU", 1, 100), 1 << 20),  # a body that says that it is small
        (struct.pack("<8sIQ", b"SPICEEMU", 1, 64 << 20), 1 << 20),  # no JSON and no blobs
    ],
)
def test_a_bomb_does_not_go_off(head: bytes, most: int) -> None:
    tracemalloc.start()
    try:
        refusal(head + BOMB)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_many_small_objects_take_no_more_memory_than_is_said() -> None:
    text = '{"a": [' + "{}," * 100_000 + "{}]}"
    data = packed(body_of(text))
    tracemalloc.start()
    try:
        load(data)
        assert tracemalloc.get_traced_memory()[1] < 55 * len(text)
    finally:
        tracemalloc.stop()


def test_large_blobs_are_held_once() -> None:
    state = {"pixels": [bytes(8 << 20), bytes(8 << 20)]}
    data = dump(state)
    tracemalloc.start()
    try:
        assert load(data) == state
        assert tracemalloc.get_traced_memory()[1] < 26 << 20  # one of them a second time while it is joined
    finally:
        tracemalloc.stop()


def test_a_wrong_file_is_the_callers_mistake() -> None:
    assert issubclass(MalformedSnapshot, LocalError)
