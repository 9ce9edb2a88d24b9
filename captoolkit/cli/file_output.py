"""What is made of each file is saved, several files at once, and named in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from captoolkit.cli.app import display_name, outcome
from captoolkit.cli.show import as_path, say

if TYPE_CHECKING:
    from captoolkit.pipeline.prepared import Prepared
    from captoolkit.pipeline.segment import ReadySegment


def save_each(
    command: str,
    files: Sequence[str],
    make: Callable[..., Prepared],
    out: Path,
    *,
    picture: str | None = None,
    jobs: int | None,
    overwrite: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Make and save each file's segments, with a bar on a terminal.

    Args:
        command: who asks; the JSON document's format is called after it.
        files: the names on the command line.
        make: called with a name, `jobs` and `on_event`.
        out: the folder that receives all.
        picture: where their pictures go, None for none.
        jobs: how much is worked on at once, files or parts of one; one for each core if None.
        overwrite: replace what an earlier run left.
        as_json: print the manifests in one document, and not the names of the files.
        debug: show where an error arose.

    Returns:
        The exit status.
    """
    from captoolkit.cli.batching import Batch
    from captoolkit.cli.picture_output import Pictures
    from captoolkit.cli.progress import bars_for
    from captoolkit.support.files import distinct_stems
    from captoolkit.support.keywords import count_cores

    pictures = Pictures(picture, inputs=files, overwrite=overwrite)
    stems = distinct_stems(map(as_path, files))
    manifests: list[str] = []

    def save(place: int, share: int) -> tuple[ReadySegment, ...]:
        name, drawn = files[place], pictures.place(place)
        with (
            bars.following(name) as on_event,
            make(name, jobs=share, on_event=batch.heeded_by(on_event)) as work,
        ):
            saved = work.save(out, stem=stems[place], overwrite=overwrite, spare=files)
            pictures.write(work, drawn)
            return saved

    def tell(place: int, saved: Callable[[], tuple[ReadySegment, ...]]) -> None:
        segments = saved()
        described = out / f"{stems[place]}.manifest.json"
        manifests.append(described.read_text(encoding="utf-8"))
        if not as_json:
            for segment in segments:
                say(display_name(str(segment.path)))

    def works() -> Iterator[tuple[str, Callable[[], None]]]:
        for place, saved in batch.run(save):
            yield files[place], partial(tell, place, saved)

    with bars_for(files) as bars, Batch(len(files), jobs=jobs or count_cores()) as batch:
        status = outcome(works(), debug=debug)
    if as_json:
        documents = ",\n".join(text.rstrip() for text in manifests)
        click.echo(f'{{"format": "captoolkit.{command}/1", "files": [\n{documents}\n]}}')
    return status
