"""A film's sound with subtitle tracks and chapters."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.sound import tone, write_wav

SRT = "1\n00:00:00,000 --> 00:00:01,000\nHello\n"
# The second line of the title looks like a stream in ffmpeg's description of the file.
CHAPTERS = r""";FFMETADATA1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=1500
title=One: a\
  Stream #0:9: Audio: mp3, 8000 Hz
[CHAPTER]
TIMEBASE=1/1000
START=1500
END=2000
"""


def make_subtitled(path: Path, ffmpeg: str) -> Path:
    """Write two seconds of sound with two subtitle tracks and two chapters, and return the path."""
    sound = write_wav(path.with_suffix(".wav"), tone(2, rate_hz=8_000), rate_hz=8_000)
    path.with_suffix(".srt").write_text(SRT)
    path.with_suffix(".txt").write_text(CHAPTERS)
    argv = [ffmpeg, "-v", "error"]
    for suffix in (".wav", ".srt", ".srt", ".txt"):
        argv += ["-i", str(sound.with_suffix(suffix))]
    argv += [word for number in range(3) for word in ("-map", str(number))]
    argv += ["-map_chapters", "3", "-c:a", "aac"]
    for number, (language, mark) in enumerate((("eng", "default"), ("deu", "forced"))):
        argv += [f"-metadata:s:s:{number}", f"language={language}"]
        argv += [f"-disposition:s:{number}", mark]
    argv += ["-c:s", "mov_text" if path.suffix == ".mp4" else "srt", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path
