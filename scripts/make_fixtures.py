#!/usr/bin/env python3
"""Make the sounds in `fixtures/` and, beside each, the truth about it as JSON.

    python scripts/make_fixtures.py            make everything anew from the committed speech
    python scripts/make_fixtures.py --check    change nothing; exit 1 if what is committed differs
    python scripts/make_fixtures.py --speak    first speak the phrases again (needs espeak-ng)

Only the speech in `fixtures/speech/` is a recording: espeak-ng, which never speaks twice quite the
same, spoke it; `speaking` says how. All else is computed with a fixed seed, so that WAV and FLAC
come out the same to the byte, given the same libsndfile. MP3, AAC, AMR and video are ffmpeg's
work, and only their decoded length is promised.

The truth about `NAME` is `NAME.json`. Every one has:

    describes    the file's name
    made_by      this script
    what         one sentence about what is in it, or what is wrong with it
    container    what the bytes are, whatever the name says; null if they are no media file
    tracks       the sound tracks: number (from 1), stream_index (from 0), codec, sample_rate_hz,
                 channels, language (the tag, or null), default (as the file marks it),
                 duration_samples, duration_from: "construction" (so many samples were written) or
                 "decode" (so many come out of a full decode by ffmpeg, as for any lossy codec)
    pictures     the video streams: stream_index, codec, is_cover
    spans        what sounds when: kind, track, start_samples, end_samples (half open, at the
                 track's rate) and level_dbfs, which is what an RMS meter reads there in the sound
                 as it was written, all channels together, against full scale 1.0 (so a full-scale
                 sine reads -3.01); null for digital silence. By kind, also:
                   tone (frequency_hz), noise, silence (every sample is zero),
                   speech (text, language), blow (one stroke of a hammer),
                   hammering (a run of blows: blows, period_s), pause (room tone only)

Some have more: channel_levels_dbfs and channel_correlation (out of phase),
header_duration_samples (what a header wrongly claims), refers_to (a file that a playlist names),
spoken_by (the command that made a recording).
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import soundfile

Sound = npt.NDArray[np.float64]  # (frames, channels), full scale 1.0
Truth = dict[str, Any]

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SPEECH = FIXTURES / "speech"
LIMIT_BYTES = 5_000_000
SEED = 20_260
RATE_HZ = 44_100
SPEECH_RATE_HZ = 22_050  # as espeak-ng speaks
PCM16_SCALE = 32_768
PERIOD_S = 0.55  # from one blow of the hammer to the next
# Of a free steel bar: how high above the lowest, how strong, and how fast each dies away.
PARTIALS = ((1, 0.6, 0.12), (2.756, 1, 0.09), (5.404, 0.7, 0.05), (8.933, 0.5, 0.03))
VIDEO = "testsrc=size=160x90:rate=5:duration=5"
H264 = "-c:v libx264 -crf 35 -pix_fmt yuv420p"
H264_STREAM = {"stream_index": 0, "codec": "h264", "is_cover": False}
MADE_BY_FFMPEG = {".mp3", ".mp4", ".aac", ".amr"}

# The voice `cmn` of espeak-ng 1.51 reads the tones aloud as English digits; its sister, made for
# pinyin, reads the same characters properly.
VOICES = {"zh": "cmn-latn-pinyin", "en": "en-us"}
WORDS_PER_MINUTE = 180
PHRASES = {
    "complaint": ("zh", "哎呀，吵成这样，叫我怎么静下心来看书啊？"),
    "plea": ("zh", "师傅，您能不能先停一会儿？"),
    "relief": ("zh", "好了，总算安静了，赶紧把这一页写完。"),
    "again": ("zh", "唉，又来了！"),
    "second-track": ("zh", "第二条音轨是中文的。"),
    "first-track": ("en", "The first sound track is in English."),
    "opposite": ("en", "Left and right are opposite, so their average is silent."),
}

# --------------------------------------------------------------------------------- making sound


def silence(length: int, channels: int = 1) -> Sound:
    """So many samples of nothing."""
    return np.zeros((length, channels))


def level_dbfs(sound: Sound) -> float | None:
    """The RMS level over all channels, to 0.01 dB; None for digital silence."""
    power = float(np.mean(np.square(sound)))
    return round(10 * float(np.log10(power)), 2) if power else None


def at_level(sound: Sound, dbfs: float) -> Sound:
    """The same sound, louder or softer, so that its RMS level is `dbfs`."""
    scaled: Sound = sound * (10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(sound))))
    return scaled


def tone(frequency_hz: float, dbfs: float, length: int, rate_hz: int) -> Sound:
    """A sine; whole periods of it have exactly the level asked for."""
    phase = 2 * np.pi * frequency_hz / rate_hz * np.arange(length)
    wave: Sound = np.sqrt(2) * 10 ** (dbfs / 20) * np.sin(phase)[:, None]
    return wave


def noise(rng: np.random.Generator, dbfs: float, length: int) -> Sound:
    """White noise of exactly this level."""
    return at_level(rng.uniform(-1, 1, (length, 1)), dbfs)


def room_tone(rng: np.random.Generator, dbfs: float, length: int) -> Sound:
    """A soft rumble, as of a quiet room: noise without its treble, which also packs well."""
    window = np.hanning(64)
    white = rng.uniform(-1, 1, length + len(window) - 1)
    return at_level(np.convolve(white, window, "valid")[:, None], dbfs)


def hammer(rng: np.random.Generator) -> Sound:
    """One stroke on metal, half a second at RATE_HZ, peak 1.0: a burst, then a ring that decays.

    Being inharmonic is what makes it sound of metal, and each partial is a pair that beats.
    """
    length = RATE_HZ // 2
    time_s = np.arange(length) / RATE_HZ
    ring = np.zeros(length)
    for ratio, gain, decay_s in PARTIALS:
        pair = sum(np.sin(2 * np.pi * 640 * ratio * detuned * time_s) for detuned in (1, 1.007))
        ring += gain * np.exp(-time_s / decay_s) * pair
    burst = 2 * rng.uniform(-1, 1, length) * np.exp(-time_s / 0.004)
    stroke = (ring + burst) * (1 - time_s / time_s[-1])  # ends at zero, not in a click
    stroke /= np.max(np.abs(stroke))
    return np.asarray(stroke[:, None], dtype=np.float64)


def place(canvas: Sound, sound: Sound, start: int, gains: Sequence[float] = (1.0,)) -> None:
    """Mix a mono sound into the canvas from sample `start`, with a gain for all or each channel."""
    canvas[start : start + len(sound)] += sound * np.asarray(gains)


def speech(phrase: str, dbfs: float) -> Sound:
    """The committed recording of a phrase, mono, brought to RATE_HZ, which is twice its own."""
    recorded, _ = soundfile.read(speech_path(phrase))
    stretched = np.zeros(2 * len(recorded))  # a zero after each sample, then a low-pass
    stretched[::2] = recorded
    taps = np.sinc(np.arange(-31, 32) / 2) * np.hanning(65)[1:-1]
    return at_level(np.convolve(stretched, taps, "same")[:, None], dbfs)


# ------------------------------------------------------------------------------- writing files


def pcm16(sound: Sound) -> npt.NDArray[np.int16]:
    """The sound in 16 bits, never clipped."""
    scaled = np.rint(sound * PCM16_SCALE)
    if np.max(np.abs(scaled)) >= PCM16_SCALE:
        raise ValueError("the sound is beyond full scale; mix it softer")
    return scaled.astype(np.int16)


def write(path: Path, sound: Sound, rate_hz: int) -> None:
    """Write 16-bit WAV or FLAC, by the file's name."""
    packing = {"compression_level": 1.0} if path.suffix == ".flac" else {}
    soundfile.write(path, pcm16(sound), rate_hz, subtype="PCM_16", **packing)


def run_ffmpeg(*arguments: str | Path) -> bytes:
    """Run ffmpeg, give back what it wrote to stdout."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def encode(path: Path, sounds: Sequence[Sound], options: str, picture: str = "") -> None:
    """Let ffmpeg encode sounds at RATE_HZ and a lavfi picture, without trace of when or where."""
    exact = "-map_metadata -1 -bitexact -fflags +bitexact -flags +bitexact -threads 1"
    with tempfile.TemporaryDirectory() as folder:
        inputs: list[str | Path] = []
        for number, sound in enumerate(sounds):
            write(Path(folder) / f"{number}.wav", sound, RATE_HZ)
            inputs += ["-i", Path(folder) / f"{number}.wav"]
        if picture:
            inputs += ["-f", "lavfi", "-i", picture]
        run_ffmpeg("-y", *inputs, *exact.split(), *options.split(), path)


def decoded_samples(path: Path, number: int, channels: int) -> int:
    """How many samples ffmpeg gets out of sound track `number` (from 1)."""
    track = ["-map", f"0:a:{number - 1}", "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"]
    return len(run_ffmpeg("-i", path, *track)) // (2 * channels)


# ------------------------------------------------------------------------------ telling the truth


def truth(what: str, container: str | None, *tracks: Truth, **more: Any) -> Truth:
    """The fields that every truth has, and those that only this one has."""
    numbered = [{"number": number, **track} for number, track in enumerate(tracks, start=1)]
    always = {"what": what, "container": container, "tracks": numbered, "pictures": [], "spans": []}
    return always | more


def written(codec: str, sound: Sound, rate_hz: int = RATE_HZ) -> Truth:
    """The only track of a file, as many samples long as were written."""
    return {
        "stream_index": 0,
        "codec": codec,
        "sample_rate_hz": rate_hz,
        "channels": sound.shape[1],
        "language": None,
        "default": False,
        "duration_samples": len(sound),
        "duration_from": "construction",
    }


def decoded(path: Path, codec: str, like: Sound, rate_hz: int = RATE_HZ, **more: Any) -> Truth:
    """A track of a finished file, `like` the sound it was made from, as long as a decode gives."""
    number = more.pop("number", 1)
    length = decoded_samples(path, number, like.shape[1])
    counted = {"duration_samples": length, "duration_from": "decode"}
    return written(codec, like, rate_hz) | counted | more


def span(kind: str, start: int, end: int, dbfs: float | None, track: int = 1, **more: Any) -> Truth:
    """One stretch of a track and what sounds there."""
    where = {"track": track, "start_samples": start, "end_samples": end}
    return {"kind": kind, **where, "level_dbfs": dbfs, **more}


def spoken(phrase: str, voice: Sound, start: int = 0, track: int = 1) -> Truth:
    """The span of a phrase that begins at sample `start`."""
    (language, text), end = PHRASES[phrase], start + len(voice)
    return span("speech", start, end, level_dbfs(voice), track, text=text, language=language)


def as_json(value: Truth) -> str:
    """JSON with a line for each field and each item of a list: a changed span is a changed line."""
    fields = []
    for key, content in value.items():
        text = json.dumps(content, ensure_ascii=False)
        if isinstance(content, list) and content and isinstance(content[0], dict):
            items = ",\n".join("    " + json.dumps(item, ensure_ascii=False) for item in content)
            text = f"[\n{items}\n  ]"
        fields.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


# --------------------------------------------------------------------------------- the fixtures


def hammering_mandarin(path: Path) -> Truth:
    """The recording of the demo: who could work like this?"""
    rng = np.random.default_rng(SEED)
    canvas = silence(43 * RATE_HZ, 2)
    place(canvas, room_tone(rng, -66, len(canvas)), 0)
    spans: list[Truth] = []
    for start_s, blows in ((0.5, 24), (20.4, 15), (33, 16)):
        spans += hammering(canvas, rng, start_s, blows)
    for phrase, start_s in (("complaint", 3.0), ("plea", 9.0), ("relief", 15.0), ("again", 35.3)):
        voice, start = speech(phrase, -27), round(start_s * RATE_HZ)
        place(canvas, voice, start)
        spans.append(spoken(phrase, voice, start))
    spans += pauses(spans, len(canvas))
    for one in spans:  # of what is heard there in the end, not of what was mixed in
        one["level_dbfs"] = level_dbfs(canvas[one["start_samples"] : one["end_samples"]])
    write(path, canvas, RATE_HZ)
    return truth(
        "A man complains in Mandarin while somebody hammers on metal, about every 0.55 s; "
        "then he speaks alone, then there is hammering alone, near-silence, and hammering again.",
        "flac",
        written("flac", canvas),
        spans=sorted(spans, key=lambda one: (one["start_samples"], -one["end_samples"])),
    )


def hammering(canvas: Sound, rng: np.random.Generator, start_s: float, blows: int) -> list[Truth]:
    """Mix in blows every 0.55 s, give or take 15 ms, a little left: the run's span, then theirs."""
    spans = []
    for number in range(blows):
        at_s = start_s + PERIOD_S * number + rng.uniform(-0.015, 0.015)
        stroke, start = rng.uniform(0.5, 0.65) * hammer(rng), round(at_s * RATE_HZ)
        place(canvas, stroke, start, (1.0, 0.7))
        spans.append(span("blow", start, start + len(stroke), None))
    first, last = spans[0]["start_samples"], spans[-1]["end_samples"]
    return [span("hammering", first, last, None, blows=blows, period_s=PERIOD_S), *spans]


def pauses(spans: Sequence[Truth], length: int) -> list[Truth]:
    """The stretches in which none of the spans lies."""
    found, reached = [], 0
    edges = [(one["start_samples"], one["end_samples"]) for one in spans]
    for start, end in [*sorted(edges), (length, length)]:
        if reached < start:
            found.append(span("pause", reached, start, None))
        reached = max(reached, end)
    return found


def tones_and_silences(path: Path) -> Truth:
    """What a level meter and a silence finder are tried on."""
    rate_hz, rng = 16_000, np.random.default_rng(SEED)
    sounds: list[Sound] = []
    spans: list[Truth] = []
    # Seconds, level and frequency; without a frequency it is noise, without a level it is silence.
    for length_s, dbfs, frequency_hz in (
        (0.75, None, None),
        (1.5, -20.0, 440),
        (1.0, None, None),
        (1.5, -6.0, 1000),
        (2.0, -60.0, None),
        (1.25, -40.0, 3000),
        (1.5, None, None),
        (0.5, -12.0, 7000),
        (0.5, -30.0, None),
        (1.5, None, None),
    ):
        start, length = sum(map(len, sounds)), round(length_s * rate_hz)
        end = start + length
        if dbfs is None:
            sounds.append(silence(length))
            spans.append(span("silence", start, end, None))
        elif frequency_hz is None:
            sounds.append(noise(rng, dbfs, length))
            spans.append(span("noise", start, end, dbfs))
        else:
            sounds.append(tone(frequency_hz, dbfs, length, rate_hz))
            spans.append(span("tone", start, end, dbfs, frequency_hz=frequency_hz))
    sound = np.concatenate(sounds)
    write(path, sound, rate_hz)
    what = "Tones and noise of known level, with digital silences between them."
    return truth(what, "wav", written("pcm_s16le", sound, rate_hz), spans=spans)


def out_of_phase(path: Path) -> Truth:
    """What a careless downmix makes silent."""
    voice, start = speech("opposite", -23), RATE_HZ // 4
    sound = silence(start + len(voice) + start, 2)
    place(sound, voice, start, (1.0, -1.0))  # rounding to 16 bits is symmetric, so R stays -L
    write(path, sound, RATE_HZ)
    return truth(
        "A voice whose right channel is the exact negative of the left one: "
        "the plain average of the two is digital silence.",
        "flac",
        written("flac", sound),
        spans=[spoken("opposite", voice, start)],
        channel_levels_dbfs=[level_dbfs(sound[:, :1]), level_dbfs(sound[:, 1:])],
        channel_correlation=-1.0,
    )


def two_languages(path: Path) -> Truth:
    """A video that speaks English unless somebody asks for Chinese."""
    english, chinese = silence(5 * RATE_HZ, 2), silence(5 * RATE_HZ)
    voice, voice_zh = speech("first-track", -23), speech("second-track", -23)
    start, start_zh = RATE_HZ // 2, RATE_HZ
    place(english, voice, start)
    place(chinese, voice_zh, start_zh)
    streams = f"-map 2:v -map 0:a -map 1:a {H264} -c:a aac -b:a:0 64k -b:a:1 32k -ar:a:1 22050"
    first = "-metadata:s:a:0 language=eng -disposition:a:0 default"
    second = "-metadata:s:a:1 language=zho -disposition:a:1 0"
    encode(path, [english, chinese], f"{streams} {first} {second}", VIDEO)
    said = spoken("first-track", voice, start)
    said_zh = at_rate(spoken("second-track", voice_zh, start_zh, track=2), 22_050)
    return truth(
        "A video with two sound tracks: English stereo by default, Chinese mono beside it.",
        "mp4",
        decoded(path, "aac", english, stream_index=1, language="eng", default=True),
        decoded(path, "aac", chinese, 22_050, number=2, stream_index=2, language="zho"),
        pictures=[H264_STREAM],
        spans=[said, said_zh],
    )


def at_rate(heard: Truth, rate_hz: int) -> Truth:
    """A span of a sound at RATE_HZ, on the clock of the track that it was resampled to."""
    edges = ("start_samples", "end_samples")
    return heard | {edge: round(heard[edge] * rate_hz / RATE_HZ) for edge in edges}


def video_without_sound(path: Path) -> Truth:
    """A video in which there is nothing to caption."""
    encode(path, [], H264, VIDEO)
    return truth("A video without any sound track.", "mp4", pictures=[H264_STREAM])


def cover_art(path: Path) -> Truth:
    """A song with its sleeve: the picture makes it no video."""
    sound = tone(440, -20, 3 * RATE_HZ, RATE_HZ)
    streams = "-map 0:a -map 1:v -c:a libmp3lame -b:a 48k -id3v2_version 3"
    sleeve = "-c:v png -disposition:v attached_pic"
    encode(path, [sound], f"{streams} {sleeve}", "color=orange:size=32x32:rate=25:duration=0.04")
    return truth(
        "An MP3 with a PNG picture attached.",
        "mp3",
        decoded(path, "mp3", sound),
        pictures=[{"stream_index": 1, "codec": "png", "is_cover": True}],
        spans=[span("tone", 0, len(sound), -20.0, frequency_hz=440)],
    )


def no_xing(path: Path) -> Truth:
    """An MP3 whose length cannot be guessed from its first frames."""
    hiss = noise(np.random.default_rng(SEED), -20, 88_200)
    sound = np.concatenate([silence(88_200), hiss])
    encode(path, [sound], "-c:a libmp3lame -q:a 1 -write_xing 0 -id3v2_version 0")
    return truth(
        "A VBR MP3 without a Xing header: silence in small frames first, then noise in large ones, "
        "so any guess from the bit rate of its beginning is far too long.",
        "mp3",
        decoded(path, "mp3", sound),
        spans=[span("silence", 0, 88_200, None), span("noise", 88_200, 176_400, -20.0)],
    )


def raw_aac(path: Path) -> Truth:
    """AAC frames one after another, with nothing that says how many."""
    voice = speech("first-track", -23)
    encode(path, [voice], "-c:a aac -b:a 48k -f adts")
    what = "Raw AAC in ADTS frames, which state no duration."
    said = spoken("first-track", voice)
    return truth(what, "aac", decoded(path, "aac", voice), spans=[said])


def speech_amr(path: Path) -> Truth:
    """Speech as a telephone carries it."""
    voice = speech("complaint", -23)
    encode(path, [voice], "-ar 8000 -c:a libopencore_amrnb -b:a 12.2k")
    said = at_rate(spoken("complaint", voice), 8_000)
    what = "Mandarin speech in AMR narrow band, which states no duration."
    return truth(what, "amr", decoded(path, "amr_nb", voice, 8_000), spans=[said])


def cut_off(path: Path) -> Truth:
    """A download that stopped: the header still promises the whole."""
    sound = speech("relief", -23)
    write(path, sound, RATE_HZ)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    return truth(
        "A FLAC cut off in the middle of a frame: its header claims more than there is.",
        "flac",
        decoded(path, "flac", sound),
        header_duration_samples=len(sound),
    )


def plain(content: str, what: str, **more: Any) -> Callable[[Path], Truth]:
    """The maker of a file that is no media file, whatever its name says."""

    def maker(path: Path) -> Truth:
        path.write_text(content, encoding="utf-8", newline="\n")
        return truth(what, None, **more)

    return maker


MAKERS: dict[str, Callable[[Path], Truth]] = {
    "hammering-mandarin.flac": hammering_mandarin,
    "tones-and-silences.wav": tones_and_silences,
    "out-of-phase.flac": out_of_phase,
    "two-languages.mp4": two_languages,
    "video-without-sound.mp4": video_without_sound,
    "cover-art.mp3": cover_art,
    "no-xing.mp3": no_xing,
    "raw.aac": raw_aac,
    "speech.amr": speech_amr,
    "cut-off.flac": cut_off,
    "not-media.wav": plain("I am a text.\n", "A line of text with the name of a WAV."),
    "empty.wav": plain("", "A file of no bytes with the name of a WAV."),
    "playlist.mp3": plain(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nraw.aac\n#EXT-X-ENDLIST\n",
        "An HLS playlist with the name of an MP3; it must not lead to the file that it names.",
        refers_to="raw.aac",
    ),
}

# ------------------------------------------------------------------------------------ the speech


def speech_path(phrase: str) -> Path:
    """Where the recording of a phrase lies."""
    return SPEECH / f"{PHRASES[phrase][0]}-{phrase}.flac"


def speaking(phrase: str) -> list[str]:
    """The command that speaks a phrase to stdout as WAV."""
    language, text = PHRASES[phrase]
    return ["espeak-ng", "-v", VOICES[language], "-s", str(WORDS_PER_MINUTE), "--stdout", text]


def speak(phrase: str) -> None:
    """Record a phrase anew, without the silence before and after it."""
    wav = subprocess.run(speaking(phrase), check=True, capture_output=True).stdout
    # On a pipe, espeak-ng cannot go back to fill in the length of its WAV: read past the header.
    sound = np.frombuffer(wav[44:], dtype="<i2")[:, None] / PCM16_SCALE
    audible = np.flatnonzero(np.abs(sound) > 0.003)
    SPEECH.mkdir(parents=True, exist_ok=True)
    write(speech_path(phrase), sound[audible[0] : audible[-1] + 1], SPEECH_RATE_HZ)


def speech_truth(phrase: str) -> Truth:
    """The truth about a committed recording."""
    sound, rate_hz = soundfile.read(speech_path(phrase), always_2d=True)
    return truth(
        "One phrase of synthetic speech, from its first audible sample to its last.",
        "flac",
        written("flac", sound, rate_hz),
        spans=[spoken(phrase, sound)],
        spoken_by=shlex.join(speaking(phrase)),
    )


# ----------------------------------------------------------------------------- the whole of it


def make(folder: Path) -> None:
    """Make every fixture in the folder, where the speech lies already, and every truth."""
    for phrase in PHRASES:
        write_truth(folder / "speech" / speech_path(phrase).name, speech_truth(phrase))
    for name, maker in MAKERS.items():
        write_truth(folder / name, maker(folder / name))


def write_truth(path: Path, said: Truth) -> None:
    """Write the truth about a file beside it."""
    text = as_json({"describes": path.name, "made_by": "scripts/make_fixtures.py", **said})
    path.with_name(path.name + ".json").write_text(text, encoding="utf-8", newline="\n")


def differences(committed: Path, fresh: Path) -> list[str]:
    """What is not the same in two folders of fixtures, a line for each file."""
    names = {path.relative_to(folder) for folder in (committed, fresh) for path in files(folder)}
    reasons = {name: difference(committed / name, fresh / name) for name in sorted(names)}
    return [f"{name.as_posix()} {why}" for name, why in reasons.items() if why]


def difference(committed: Path, fresh: Path) -> str | None:
    """Why two files are not the same fixture, None if they are."""
    if not committed.exists() or not fresh.exists():
        return "is missing" if fresh.exists() else "is made by nothing here"
    if committed.read_bytes() == fresh.read_bytes():
        return None
    if committed.suffix not in MADE_BY_FFMPEG:
        return "differs"
    said = json.loads(fresh.with_name(fresh.name + ".json").read_text(encoding="utf-8"))
    if said["container"] is None:
        return "differs"
    try:
        lengths = [decoded_samples(committed, t["number"], t["channels"]) for t in said["tracks"]]
    except subprocess.CalledProcessError:
        return "cannot be decoded"
    promised = [track["duration_samples"] for track in said["tracks"]]
    return None if lengths == promised else f"decodes to {lengths} samples, not {promised}"


def files(folder: Path) -> list[Path]:
    """All files below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def check() -> int:
    """Say what differs between what is committed and what would be made; 1 if anything does."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SPEECH, Path(folder) / "speech", ignore=shutil.ignore_patterns("*.json"))
        make(Path(folder))
        found = differences(FIXTURES, Path(folder))
    print("\n".join(found) or "the fixtures are as this script makes them")
    return 1 if found else 0


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description="Make the sounds in fixtures/ and their truth.")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--check", action="store_true", help="change nothing; exit 1 if they differ")
    ways.add_argument("--speak", action="store_true", help="speak the phrases anew with espeak-ng")
    options = parser.parse_args()
    if options.check:
        return check()
    for phrase in PHRASES if options.speak else ():
        speak(phrase)
    make(FIXTURES)
    sizes_bytes = {path: path.stat().st_size for path in files(FIXTURES)}
    for path, size_bytes in sizes_bytes.items():
        print(f"{size_bytes:>9,}  {path.relative_to(FIXTURES).as_posix()}")
    print(f"{sum(sizes_bytes.values()):>9,}  bytes of at most {LIMIT_BYTES:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
