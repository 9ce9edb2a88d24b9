"""Prepare several files, one per process."""

from concurrent.futures import ProcessPoolExecutor

import captoolkit


def prepare_file(path: str) -> list[str]:
    """Return the names of the segments of one file."""
    with captoolkit.prepare(path, jobs=1) as prepared:  # the pool has one process per core
        return [str(segment.path) for segment in prepared.save("batch")]


if __name__ == "__main__":
    paths = ["fixtures/two-languages.mp4", "fixtures/hammering-mandarin.flac"]
    with ProcessPoolExecutor() as pool:
        print(*pool.map(prepare_file, paths), sep="\n")
