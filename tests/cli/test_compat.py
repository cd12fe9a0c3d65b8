"""``spiceemu compat``: the ladder, one level, and both as JSON."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from spiceemu.cli import main
from spiceemu.cli.compat import WIDTH, detail, ladder
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.levels.compat import EXTRAPOLATED, FEATURES, RELEASES, Feature
from spiceemu.protocol.levels.level import LEVELS, changed

Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def do(*arguments: str) -> str:
        main(["compat", *arguments])
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return do


def cells(text: str, label: str) -> list[str]:
    """What stands in a row of the table, the first of that name."""
    line = next(line for line in text.splitlines() if line.startswith(f"{label} "))
    return line.removeprefix(label).split()


def test_the_ladder(run: Run) -> None:
    text = run()
    header = next(line for line in text.splitlines() if "0.15.1" in line)
    assert header.split() == list(LEVELS)
    assert cells(text, "protocol") == [f"2.{level.minor}" for level in LEVELS.values()]
    assert cells(text, "migration")[:4] == ["host", "host", "host", "semi"]
    assert cells(text, "  display")[0] == "●"
    for feature in Feature:
        assert cells(text, str(feature.name)) == ["●" if level.has(feature) else "·" for level in LEVELS.values()]
    words = text[text.index("capability words") :]
    assert cells(words, "  main") == ["·", "·", "·", "1", "9", "9", "f", "·", "1", "1", "9", "9", "f"]
    assert cells(words, "  display")[2:6] == ["2*", "2*", "2", "1052"]
    assert all(note in " ".join(text.split()) for note in EXTRAPOLATED.values())


@pytest.mark.parametrize("lines", [ladder(), *(detail(level) for level in LEVELS.values())])
def test_everything_fits_the_terminal(lines: Any) -> None:
    for line in lines:
        assert len(line) <= WIDTH
        assert line == line.rstrip()


def test_a_terminal_without_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    main(["compat"])
    sys.stdout.flush()
    text = buffer.getvalue().decode("ascii")
    assert cells(text, "SURFACES")[:2] == [".", "x"]


@pytest.mark.parametrize("name", LEVELS)
def test_one_level(run: Run, name: str) -> None:
    text, level = run(name), LEVELS[name]
    assert text.splitlines()[0] == f"{name}, a {'release' if name in RELEASES else 'version'}"
    flat = " ".join(text.split())
    present, _, absent = flat.partition(" what it does not have ")
    for feature, (since, meaning) in FEATURES.items():
        row = f"{feature.name} {since.removesuffix(' (proposal)')} {meaning}"
        assert (row in present) is level.has(feature)
        assert (row in absent) is (not level.has(feature) and not str(feature.name).startswith("WITHOUT_"))
    assert ("neither run nor read" in flat) is (name in EXTRAPOLATED)


def test_a_level_with_changes(run: Run) -> None:
    assert run("0.6", "--features=+MULTIMONITOR").startswith("0.8, a version\n")
    text = run("0.8", "--features", "+VOLUME,-SURFACES")
    assert text.startswith("0.8 +VOLUME -SURFACES\n")
    assert "MONITORS_CONFIG (to a client that offers it, too)" in text
    assert run("0.8", "--features", "-SURFACES,+VOLUME") == text  # which begins like an option


def test_the_ladder_as_json(run: Run) -> None:
    found = json.loads(run("--json"))
    assert [*found["versions"], *found["releases"]] == list(LEVELS)
    assert list(found["features"]) == [feature.name for feature in Feature]
    assert found["features"]["SURFACES"] == {"value": 2, "since": "0.6.0", "meaning": FEATURES[Feature.SURFACES][1]}
    for name, level in LEVELS.items():
        row = found["releases" if name in RELEASES else "versions"][name]
        assert row["mask"] == level.features == sum(found["features"][each]["value"] for each in row["features"])
        assert (row["major"], row["minor"], row["migration"]) == (2, level.minor, level.migration.value)
        assert row["extrapolated"] == EXTRAPOLATED.get(name)
        assert row["channels"].keys() == {channel.name.lower() for channel in level.channels}
        for channel, entry in row["channels"].items():
            kind = ChannelType[channel.upper()]
            assert entry["type"] == kind
            assert (tuple(row["common_words"]), tuple(entry["words"])) == level.words(kind)
            assert tuple(entry["words_to_a_current_client"]) == level.words(kind, (0xFFFFFFFF,))[1]


def test_a_level_as_json(run: Run) -> None:
    found = json.loads(run("0.8", "--json", "--features=-MONITORS_CONFIG"))
    assert found["name"] == "0.6 +MULTI_DISPLAY_CHANNELS"
    assert found["mask"] == changed(LEVELS["0.8"], "-MONITORS_CONFIG").features
    assert found["channels"]["display"]["words_to_a_current_client"] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["0.9"], "there is no compat level '0.9'; there are 0.4"),
        (["0.8", "--features", "VOLUME"], "'VOLUME' is not a feature with + or - before it"),
        (["0.8", "--features=-PROTOCOL_MAJOR2"], "major 1 is not implemented"),
        (["--features=+VOLUME"], "--features changes a level: name one"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["0.8", "0.6"], "unrecognized arguments: 0.6"),
    ],
)
def test_what_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compat", *arguments])
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("spiceemu: ")
    assert text in captured.err
    assert captured.err.endswith("(see spiceemu compat --help)\n")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compat", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: spiceemu compat [-h]")
