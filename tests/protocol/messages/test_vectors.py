"""Every message against the bytes and fields that upstream's own code gives.

``SPICEEMU_VECTORS`` names a folder with other files of the same kinds; they go through the same tests.
"""

from __future__ import annotations

import re

import pytest

from spiceemu.errors import LimitExceeded, MalformedMessage, SpiceError, UnknownMessage
from spiceemu.protocol.layout.dictionaries import build_fields, from_fields, parse_fields, to_fields

from .. import vectors
from ..vectors import Line, body_of, by_message, canonical_of, class_of, in_hex

VALID = by_message(vectors.valid())
MALFORMED = by_message(vectors.malformed())
ACCEPTED = by_message(vectors.accepted())


def messages(groups: dict[str, list[Line]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("found", groups.values(), ids=groups)


def test_there_are_lines_of_every_message() -> None:
    assert set(VALID) == {
        f"{row['channel']}-{row['direction']}-{row['name']}" for row in vectors.table("messages.json")
    }
    assert MALFORMED


@messages(VALID)
def test_bytes_and_fields_agree(found: list[Line]) -> None:
    for line in found:
        cls, body = class_of(line), body_of(line)
        assert cls.spec.proto_name == line["name"]

        parsed = cls.parse(body)
        assert in_hex(to_fields(parsed)) == line["fields"]
        assert parsed.trailing == bytes.fromhex(line.get("trailing", ""))
        if line["layout"] in ("canonical", "trailing"):
            assert parsed.build() == body

        made = from_fields(cls, to_fields(parsed))
        assert made.build() == canonical_of(line)
        parsed.trailing = b""
        assert made == parsed


@messages(VALID)
def test_construct_alone_gives_the_same(found: list[Line]) -> None:
    for line in found:
        layout = class_of(line).layout
        fields = parse_fields(layout, body_of(line))
        assert in_hex(fields) == line["fields"]
        assert build_fields(layout, fields) == canonical_of(line)


@messages(VALID)
def test_what_is_cut_off_is_refused_where_the_reference_refuses_it(found: list[Line]) -> None:
    for line in found:
        cls, body = class_of(line), body_of(line)
        for length in range(line["c_min_len"]):
            with pytest.raises(MalformedMessage):
                cls.parse(body[:length])
        for length in range(line["c_min_len"], len(body)):
            cls.parse(body[:length])


@messages(MALFORMED)
def test_malformed_bodies_are_refused_by_name_field_and_offset(found: list[Line]) -> None:
    for line in found:
        if line["name"] is None:
            with pytest.raises(UnknownMessage, match=f"{line['channel']}.*{line['direction']}.* {line['id']}$"):
                class_of(line)
            continue
        cls = class_of(line)
        with pytest.raises((MalformedMessage, LimitExceeded)) as refusal:
            cls.parse(body_of(line))
        where = re.match(r"(\w+\.\w+)\.([\w.\[\]]+) at offset (\d+): .", str(refusal.value))
        assert where, f"{line['why']}: {refusal.value}"
        assert where[1] == cls.spec.name
        assert where[2].split(".")[0] in {field.name for field in cls.wire_fields}
        assert int(where[3]) <= len(body_of(line))
        if isinstance(refusal.value, MalformedMessage):
            found_at = (refusal.value.message, refusal.value.field, refusal.value.offset)
            assert found_at == (where[1], where[2], int(where[3]))


@messages(ACCEPTED)
def test_odd_bodies_are_read_as_the_reference_does_or_refused(found: list[Line]) -> None:
    for line in found:
        try:
            fields = in_hex(to_fields(class_of(line).parse(body_of(line))))
        except SpiceError:
            continue
        if line["name"] == "draw_text" and fields["data"]["str"]["u"] is None:
            # A count of glyphs where no flag says what glyphs are: ours is always the real count.
            fields["data"]["str"]["length"] = line["c_fields_seen"]["data"]["str"]["length"]
        assert fields == line["c_fields_seen"]
