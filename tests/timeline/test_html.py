"""The HTML page as text; what it does in a browser is in test_page.py."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.util
import json
import re
from decimal import Decimal
from html import unescape

import pytest

from captoolkit.model import Cost, Envelope
from captoolkit.timeline.html import NO_RECORDING, render
from captoolkit.timeline.html import SCRIPT as SCRIPT_NAMES
from tests.support.paths import ROOT
from tests.support.timelines import TimelineOf

SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')
VENDOR = ROOT / "captoolkit/timeline/html/vendor"


def policy_of(page: str) -> dict[str, list[str]]:
    """The page's policy: the allowed sources of each directive."""
    found = POLICY.search(page)
    assert found is not None
    rules = (rule.split() for rule in unescape(found[1]).split(";"))
    return {name: allowed for name, *allowed in rules}


def hash_of(text: str) -> str:
    """The hash of that text in a policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_what_is_in_the_page_and_nothing_else(timeline_of: TimelineOf) -> None:
    """The policy allows the page's scripts and style by hash, and no connection or `eval`."""
    page = render(timeline_of("A dog."))
    policy = policy_of(page)
    scripts, (style,) = SCRIPT.findall(page), STYLE.findall(page)
    assert policy["script-src"] == [hash_of(script) for script in scripts]
    assert policy["style-src"][0] == hash_of(style)
    assert len(policy["style-src"]) == 2
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert policy["media-src"] == ["'self'", "file:", "data:"]
    assert "unsafe" not in str(policy)
    assert page.count("<script") == len(scripts) + 1  # and the data, which is not run


def test_the_nonce_depends_on_everything_the_page_tells(timeline_of: TimelineOf) -> None:
    """Any change of a caption, name or remark changes the nonce."""
    nonces = {
        policy_of(page)["style-src"][1]
        for page in (
            render(timeline_of("A dog.")),
            render(timeline_of("A cat.")),
            render(timeline_of("A dog.", holes=("why",))),
            render(timeline_of("A dog."), remarks=["A remark."]),
            render(timeline_of("A dog."), places=["a.wav"]),
        )
    }
    assert len(nonces) == 5
    assert render(timeline_of("A dog.")) == render(timeline_of("A dog."))


def test_a_page_fetches_nothing(timeline_of: TimelineOf) -> None:
    """No attribute and no style of the page has an external URL."""
    page = render(timeline_of("See http://example.com/ and //example.com/x.js"))
    markup = SCRIPT.sub("", page)
    assert re.findall(r'(?:src|href|action|data|poster)="(?!#)[^"]*"', markup) == []
    assert "url(" not in STYLE.findall(page)[0]
    assert "@import" not in STYLE.findall(page)[0]


def test_the_envelope_and_the_times_reach_the_script(timeline_of: TimelineOf) -> None:
    """The data has whole samples and levels as bytes, and cannot end the script element."""
    timeline = timeline_of("</script>", "b")
    envelope = Envelope(
        rate_hz=48_000, step_samples=480, duration_samples=960, peaks=b"\xff\x10", loudness=b"\0\1"
    )
    page = render(timeline, envelope=envelope, remarks=())
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    data = json.loads(found[1])
    assert base64.b64decode(data["envelope"]["peaks"]) == b"\xff\x10"
    assert (data["starts"], data["ends"]) == ([0, 48_000], [48_000, 96_000])
    assert (data["rate_hz"], data["samples"]) == (48_000, 96_000)
    assert NO_RECORDING not in page
    assert NO_RECORDING in render(timeline)


def test_what_is_known_about_the_captions_is_told(timeline_of: TimelineOf) -> None:
    """The page shows the captioner, the recording, and the cost if it is known."""
    timeline = timeline_of("A dog.", holes=("x",))
    assert "<dt>Cost</dt>" not in render(timeline)
    paid = dataclasses.replace(timeline, cost=Cost(currency="USD", amount=Decimal("0.0123")))
    page = render(paid)
    for fact in ("USD 0.0123", "acoustic-1", "flac, 48 kHz, stereo", "1 without caption"):
        assert fact in page


def test_times_that_are_estimates_are_said_to_be(timeline_of: TimelineOf) -> None:
    """A page of spread sentences states that their times are estimates."""
    timeline = timeline_of("A dog barks. Rain falls. A door shuts.")
    page = render(timeline.spread())
    assert page.count('<li id="s') == 3
    assert "only the start and the end of each segment were measured" in page
    assert "were measured" not in render(timeline)


def test_a_page_shows_a_few_of_many_notes(timeline_of: TimelineOf) -> None:
    """The first 20 notes are shown, and the number of the others."""
    notes = tuple(f"remark {number}." for number in range(23))
    page = render(dataclasses.replace(timeline_of("Rain."), notes=notes))
    shown = page.partition("<script type")[0]
    assert "remark 19." in shown
    assert "remark 20." not in shown
    assert "The timeline has 3 more notes." in shown


def test_a_timeline_without_entries_is_a_page(timeline_of: TimelineOf) -> None:
    """A timeline without entries gives a page without captions."""
    empty = dataclasses.replace(timeline_of("x"), entries=())
    assert "<li id=" not in render(empty)


@pytest.mark.parametrize(
    "name", ["vendor/wavesurfer.min.js", *(f"script/{one}.js" for one in SCRIPT_NAMES)]
)
def test_the_scripts_of_the_page_can_stand_in_a_script_element(name: str) -> None:
    """No script contains text that would end or comment out its script element."""
    text = (VENDOR.parent / name).read_text(encoding="utf-8")
    assert not re.search(r"</script|<script|<!--", text, re.IGNORECASE)


def test_the_copy_is_the_version_that_is_pinned_with_its_licence(timeline_of: TimelineOf) -> None:
    """The vendored copy has the pinned version, and its licence is in every page."""
    path = ROOT / "scripts/vendor_wavesurfer.py"
    spec = importlib.util.spec_from_file_location("vendor_wavesurfer", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    version = (VENDOR / "VERSION").read_text(encoding="utf-8").strip()
    assert version == f"{script.PACKAGE} {script.VERSION}"
    assert {path.name for path in VENDOR.iterdir()} == {*script.FILES.values(), "VERSION"}
    page = render(timeline_of("x"))
    assert (VENDOR / "LICENSE").read_text(encoding="utf-8") in page
    assert version in page
