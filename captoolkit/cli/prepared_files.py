"""The files of `prepare` and `split`: several inputs at once, saved, printed in their order.

Rules: an input that fails does not affect the others. The place of a picture is checked before any
work starts. An interrupt ends every ffmpeg, stops each thread at its next event, waits until the
threads have removed their files, and then propagates. A single input runs in the main thread, which
an interrupt reaches directly.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from captoolkit.cli.app import run_all
from captoolkit.cli.show import display_path, naming_path, print_line, print_message
from captoolkit.errors import UsageError
from captoolkit.events import Event, OnEvent
from captoolkit.support import files
from captoolkit.support.cancel import Closing

if TYPE_CHECKING:
    from captoolkit.pipeline.prepared import Prepared
    from captoolkit.pipeline.segment import ReadySegment

PICTURE_EXTENSION = ".svg"
END_INTERVAL_S = 0.2  # between two rounds of ending ffmpegs while threads stop

Result = TypeVar("Result")


def save_each(
    command: str,
    inputs: Sequence[str],
    make: Callable[..., Prepared],
    out: Path,
    *,
    picture: str | None = None,
    jobs: int | None,
    overwrite: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Make and save each input's segments, with a progress bar on a terminal.

    Args:
        command: the command's name; the format of the JSON document contains it.
        inputs: the names on the command line.
        make: called with a name, `jobs` and `on_event`.
        out: the folder that receives all files.
        picture: the value of `--picture`, None without it.
        jobs: the number of parallel jobs, over all inputs; None for one for each core.
        overwrite: replace the files of an earlier run.
        as_json: print the manifests in one document, instead of the names of the files.
        debug: show the traceback of an error.

    Returns:
        The exit status.
    """
    from captoolkit.cli.progress import bars_for
    from captoolkit.support.keywords import count_cores

    pictures = PictureFiles(picture, inputs=inputs, overwrite=overwrite)
    stems = files.distinct_stems(map(naming_path, inputs))
    manifests: list[str] = []

    def save(index: int, share: int) -> tuple[ReadySegment, ...]:
        name, picture_path = inputs[index], pictures.path(index)
        with (
            bars.following(name) as on_event,
            make(name, jobs=share, on_event=pool.stopping(on_event)) as prepared,
        ):
            saved = prepared.save(out, stem=stems[index], overwrite=overwrite, spare=inputs)
            pictures.write(prepared, picture_path)
            return saved

    def show(index: int, result: Callable[[], tuple[ReadySegment, ...]]) -> None:
        segments = result()
        manifest = out / f"{stems[index]}.manifest.json"
        manifests.append(manifest.read_text(encoding="utf-8").rstrip())
        if not as_json:
            for segment in segments:
                print_line(display_path(segment.path))

    with bars_for(inputs) as bars, InputPool(len(inputs), jobs=jobs or count_cores()) as pool:
        results = pool.run(save)
        works = ((inputs[i], functools.partial(show, i, result)) for i, result in results)
        status = run_all(works, debug=debug)
    if as_json:
        documents = ",\n".join(manifests)
        click.echo(f'{{"format": "captoolkit.{command}/1", "files": [\n{documents}\n]}}')
    return status


class InputPool(Closing):
    """Threads that work on several inputs at once; `close` ends all work that still runs.

    Args:
        inputs: the number of inputs.
        jobs: the number of parallel jobs, over all inputs.
    """

    def __init__(self, inputs: int, *, jobs: int) -> None:
        self._inputs = inputs
        self._jobs = jobs
        self._threads = min(jobs, inputs)
        self._stop = threading.Event()
        self._futures: list[Future[Any]] = []
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="captoolkit-input")

    def run(self, work: Callable[[int, int], Result]) -> Iterator[tuple[int, Callable[[], Result]]]:
        """Call `work(index, jobs)` for each input in threads; yield indices and result functions.

        `jobs` is an input's share of all jobs; the last input gets all of them. A result function
        waits for the result, and raises the exception of the work.
        """
        if self._inputs == 1:
            yield 0, functools.partial(work, 0, self._jobs)
            return
        remaining = range(self._inputs, 0, -1)
        shares = [self._jobs // min(self._threads, inputs) for inputs in remaining]
        self._futures = [self._pool.submit(work, *each) for each in enumerate(shares)]
        for index, future in enumerate(self._futures):
            yield index, future.result

    def stopping(self, on_event: OnEvent) -> OnEvent:
        """Return an `on_event` that ends the work at its next event after `close`."""

        def report(event: Event) -> None:
            if self._stop.is_set():
                raise _PoolClosedError
            on_event(event)

        return report

    def close(self) -> None:
        """End the work that still runs and wait for its threads; may be called twice."""
        from captoolkit.media import ffmpeg

        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        running = [future for future in self._futures if not future.cancelled()]
        while wait(running, timeout=END_INTERVAL_S).not_done:
            ffmpeg.end_all()  # a thread that waits for one may be hours from its next event
        self._pool.shutdown(wait=True)


class _PoolClosedError(Exception):
    """Ends the work of a thread after `InputPool.close`."""


class PictureFiles:
    """The files of `--picture`, one for each input.

    Args:
        picture: the value of the option, None without it.
        inputs: the names on the command line.
        overwrite: replace existing files, but never an input.

    Raises:
        UsageError: the option names one file for several inputs.
    """

    def __init__(self, picture: str | None, *, inputs: Sequence[str], overwrite: bool) -> None:
        self._picture = picture
        self._inputs = inputs
        self._overwrite = overwrite
        self._stems = files.distinct_stems(map(naming_path, inputs))
        is_folder = picture is not None and (
            Path(picture).is_dir() or picture.endswith(("/", os.sep))
        )
        self._is_single_file = len(inputs) == 1 and not is_folder
        names_file = picture is not None and picture.lower().endswith(PICTURE_EXTENSION)
        if names_file and not is_folder and len(inputs) > 1:
            raise UsageError(
                f"--picture {picture} is one file for {len(inputs)} pictures",
                fix="name a folder",
            )

    def path(self, index: int) -> Path | None:
        """Return the path of an input's picture, by the input's index; None without `--picture`.

        Raises:
            OutputExistsError: the file exists.
            OutputError: the file cannot be written, or is an input.
        """
        if self._picture is None:
            return None
        named = Path(self._picture).absolute()
        path = named if self._is_single_file else named / f"{self._stems[index]}{PICTURE_EXTENSION}"
        files.refuse_inputs([path], self._inputs)
        if not self._overwrite:
            files.refuse_existing([path])
        files.refuse_unwritable_file(path)
        return path

    def write(self, prepared: Prepared, path: Path | None) -> None:
        """Write the picture of a preparation, unless `path` is None, and print its path."""
        if path is not None:
            files.write_whole(path, prepared.picture(), overwrite=self._overwrite)
            print_message(f"picture: {display_path(path)}")
