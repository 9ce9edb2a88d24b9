"""`captoolkit view`, `-f html` and `--picture`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.cli.conftest import Run
from tests.support.sound import silence, write_wav


@pytest.fixture
def timeline(run: Run, fixtures: Path, tmp_path: Path) -> Path:
    """A timeline as `caption` wrote it."""
    path = tmp_path / "speech.json"
    assert run("caption", fixtures / "hammering-mandarin.flac", "-o", path).status == 0
    return path


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What a browser of the user's was asked to open; the cache is a folder of the test's own."""
    asked: list[str] = []

    class Browser(webbrowser.BaseBrowser):
        def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
            asked.append(url)
            return True

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    webbrowser.register("test", None, Browser(), preferred=True)
    return asked


def test_it_opens_the_page_and_prints_where_it_is(
    run: Run, timeline: Path, shown: list[str]
) -> None:
    """The page lies in the cache, in one place for each timeline."""
    ran = run("view", timeline)
    place = Path(ran.out.strip())
    assert (ran.status, shown) == (0, [place.as_uri()])
    assert "hammering-mandarin.flac" in place.read_text(encoding="utf-8")
    again = run("view", timeline, "--no-open")
    assert (again.out, len(shown)) == (ran.out, 1)
    assert len(list(place.parent.iterdir())) == 1


@pytest.mark.parametrize("letter", ["n", "夜", "🌙"])
def test_a_timeline_with_the_longest_name_is_shown(
    run: Run, timeline: Path, shown: list[str], letter: str
) -> None:
    """The page's name is never longer than a name may be; two of one beginning stay two."""
    most = (255 - len(".json")) // len(letter.encode())
    names = [letter * most + ".json", letter * (most - 1) + "b.json"]
    places = set()
    for name in names:
        longest = timeline.with_name(name)
        longest.write_bytes(timeline.read_bytes())
        ran = run("view", longest)
        assert (ran.status, ran.err) == (0, "")
        places.add(Path(ran.out.strip()))
    assert len(places) == len(shown) == 2
    assert all(place.name.startswith(letter * 20) for place in places)


def test_the_page_can_be_kept(run: Run, timeline: Path, shown: list[str], tmp_path: Path) -> None:
    """With -o it lies there, and what is there is replaced only with -y."""
    place = tmp_path / "kept.html"
    assert run("view", timeline, "-o", place).status == 0
    assert run("view", timeline, "-o", place).status == 1
    assert run("view", timeline, "-o", place, "-y").status == 0
    assert run("view", timeline, "-o", timeline, "-y").status == 1
    assert timeline.read_text(encoding="utf-8").startswith("{")


def test_what_is_no_timeline_opens_nothing(run: Run, shown: list[str], tmp_path: Path) -> None:
    """One line, and no browser."""
    bad = tmp_path / "bad.json"
    bad.write_text('{"format": "captoolkit.timeline/9"}')
    for path in (bad, tmp_path / "none.json"):
        ran = run("view", path)
        assert (ran.status, len(ran.err.splitlines()), shown) == (1, 1, [])


def test_export_and_caption_write_the_page_with_its_sound(
    run: Run, timeline: Path, fixtures: Path, tmp_path: Path
) -> None:
    """Both have the waveform; --embed-audio puts the recording in; it needs a page to be put in."""
    place = tmp_path / "exported.html"
    assert run("export", timeline, "-o", place).status == 0
    page = place.read_text(encoding="utf-8")
    assert '"loudness": "' in page
    source = fixtures / "hammering-mandarin.flac"
    assert f'src="{source.as_uri()}"' in page
    captioned = tmp_path / "captioned.html"
    ran = run("caption", source, "-o", captioned, "--embed-audio", "--segment", "15s")
    assert ran.status == 0
    assert 'src="data:audio/flac;base64,' in captioned.read_text(encoding="utf-8")
    refused = run("export", timeline, "-f", "srt", "--embed-audio")
    assert (refused.status, "-f html" in refused.err) == (2, True)


def test_plan_and_prepare_draw_their_pictures(run: Run, fixtures: Path, tmp_path: Path) -> None:
    """One file for one input, a folder for several; nothing is replaced unasked."""
    source = fixtures / "hammering-mandarin.flac"
    planned, made = tmp_path / "plan.svg", tmp_path / "made.svg"
    assert run("plan", source, "--segment", "15s", "--picture", planned).status == 0
    assert "Bands: how far a cut may move; dots:" in planned.read_text(encoding="utf-8")
    options = ("--segment", "15s", "--picture", made, "-o", tmp_path / "ready")
    assert run("prepare", source, *options).status == 0
    assert "The loudest cut is at" in made.read_text(encoding="utf-8")
    assert run("plan", source, "--picture", planned).status == 1
    several = (source, fixtures / "tones-and-silences.wav")
    assert run("plan", *several, "--picture", planned).status == 2
    assert run("plan", *several, "--picture", tmp_path / "both").status == 0
    drawn = sorted((tmp_path / "both").iterdir())
    assert [path.name for path in drawn] == ["hammering-mandarin.svg", "tones-and-silences.svg"]
    assert all(Xml.parse(path) for path in drawn)


def test_a_picture_that_cannot_be_written_is_told_before_the_work(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """Nothing is prepared when the picture has no place."""
    (tmp_path / "file").write_text("")
    out = tmp_path / "ready"
    ran = run(
        "prepare", fixtures / "speech.amr", "-o", out, "--picture", tmp_path / "file" / "a.svg"
    )
    assert (ran.status, out.exists()) == (1, False)


def test_one_input_is_drawn_into_exactly_the_file_that_is_named(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """Whatever its ending; into a folder only if that is one. Where it is, is told on stderr."""
    source = fixtures / "speech.amr"
    named = tmp_path / "plan.png"
    result = run("plan", source, "--picture", named)
    assert result.status == 0
    assert named.read_text().startswith("<svg")
    assert f"picture: {named}" in result.err
    assert "picture:" not in result.out
    (tmp_path / "there").mkdir()
    result = run("prepare", source, "--picture", tmp_path / "there", "-o", tmp_path / "ready")
    assert f"picture: {tmp_path / 'there' / 'speech.svg'}" in result.err
    assert (tmp_path / "there" / "speech.svg").is_file()


def test_what_cannot_go_into_a_page_is_refused_before_it_is_captioned(
    run: Run, tmp_path: Path
) -> None:
    """A recording of more than 20 MB: nothing is asked, nothing is written."""
    rate_hz = 48_000
    large = write_wav(tmp_path / "large.wav", silence(220, rate_hz=rate_hz), rate_hz=rate_hz)
    result = run("caption", large, "--embed-audio", "-f", "html", "-o", tmp_path / "a.html")
    assert result.status == 2
    assert "at most 20.00 MB go into a page" in result.err
    assert "kept in" not in result.err
    assert not (tmp_path / "a.html").exists()


def test_a_place_that_cannot_be_written_is_told_before_the_work(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    """A folder has the name of the file; the folder takes no files; too long a name."""
    (tmp_path / "speech.json").mkdir()
    closed = [Path("/proc/a.json")] if Path("/proc/self").is_dir() else []
    for out in (tmp_path, tmp_path / ("x" * 300), *closed):
        result = run("caption", fixtures / "speech.amr", "-y", "-o", out)
        assert result.status == 1
        assert "cannot be written" in result.err
        assert "kept in" not in result.err
