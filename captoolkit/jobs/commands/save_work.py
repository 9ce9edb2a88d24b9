"""The work of `prepare` and `split` on one input: make its segments and save them, or keep them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from captoolkit.errors import OutputExistsError, UsageError
from captoolkit.events import OnEvent
from captoolkit.jobs.commands.outcomes import InputOutcome, OutcomeStatus
from captoolkit.jobs.commands.output_names import OutputNames
from captoolkit.jobs.listing.inputs import Input
from captoolkit.media.source import is_web_url
from captoolkit.pipeline import earlier_run, manifest
from captoolkit.pipeline.prepared import Prepared
from captoolkit.support import files
from captoolkit.support.provenance import Provenance

PICTURE_EXTENSION = ".svg"
NO_SEGMENTS = (PICTURE_EXTENSION, ".json", ".jsonl", ".txt", ".log")
RASTER_EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFiles:
    """The files that one input has become; `picture` is None without `--picture`."""

    outcome: InputOutcome
    manifest: Path
    segments: tuple[Path, ...]
    picture: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveWork:
    """Makes and saves the segments of an input, by its index; any process can run a copy.

    Attributes:
        make: called with a source, `jobs` and `on_event`.
        provenance: the verb and options of `make`.
        inputs: all inputs.
        names: the names of the files of each input.
        out: the folder that receives all files.
        pictures: the files of `--picture`.
        overwrite: replace the files of an earlier run.
        skip_existing: keep the files of an earlier run that `make` would make again.
        spare: the files that are never replaced.
    """

    make: Callable[..., Prepared]
    provenance: Provenance
    inputs: Sequence[Input]
    names: Sequence[OutputNames]
    out: Path
    pictures: PictureFiles
    overwrite: bool
    skip_existing: bool
    spare: files.FileSet

    def refuse_shared_outputs(self, report: Path | None) -> None:
        """Refuse a report or a picture at the place of another file of this command.

        Raises:
            UsageError: there is one.
        """
        indices = range(len(self.names))
        pictures = [self.pictures.place(index) for index in indices]
        results: list[Path] = [self.out]
        for names in self.names:
            assert names.segments is not None
            folder = self.out / names.folder
            results.append(folder / names.segments.manifest)
            results += [  # a segment may get such a name
                folder / path.name
                for path in {report, *pictures[:1]}
                if path is not None
                and path.suffix.lower() not in NO_SEGMENTS
                and names.segments.is_segment(path.name)
            ]
        files.refuse_shared(
            [
                *(("--picture", path) for path in pictures),
                ("--report", report),
                *(("-o", path) for path in results),
            ]
        )

    def __call__(self, index: int, jobs: int, on_event: OnEvent) -> SavedFiles:
        """Make and save the segments, and the picture if there is one."""
        begun = time.monotonic()
        item, names = self.inputs[index], self.names[index]
        assert names.segments is not None
        folder = Path(files.absolute(self.out / names.folder))
        path = folder / names.segments.manifest
        source = item.source()
        picture = None
        if self.pictures.is_missing(index) or not self._is_kept(index, folder):
            picture = self.pictures.path(index)
            with self.make(source, jobs=jobs, on_event=on_event) as prepared:
                prepared.save(
                    folder,
                    name=names.segments,
                    overwrite=self.overwrite,
                    skip_existing=self.skip_existing,
                    spare=self.spare,
                )
                self.pictures.write(prepared, picture)
                status = OutcomeStatus.KEPT if prepared.is_kept else OutcomeStatus.DONE
        else:
            status = OutcomeStatus.KEPT
        saved = manifest.read(path.read_text(encoding="utf-8"))
        assert saved is not None
        outcome = InputOutcome(
            input=item.id,
            path=item.public_url,
            status=status,
            segments=len(saved.segments),
            duration_s=saved.source.span.duration_s,
            size_bytes=sum(segment.size_bytes for segment in saved.segments),
            tokens=saved.audio_tokens,
            out=str(path),
            seconds=time.monotonic() - begun,
            warnings=saved.warnings,
        )
        segments = tuple(folder / segment.file for segment in saved.segments)
        return SavedFiles(outcome=outcome, manifest=path, segments=segments, picture=picture)

    def _is_kept(self, index: int, folder: Path) -> bool:
        """Return whether an earlier run has made the files; the source is not opened."""
        item, names = self.inputs[index], self.names[index].segments
        if not self.skip_existing or item.is_standard_input or is_web_url(item.url):
            return False
        assert names is not None
        source = Path(files.absolute(item.url))
        if not source.is_file():  # the verb reports it
            return False
        try:
            return earlier_run.find_saved(folder, names, self.provenance, source) is not None
        except OutputExistsError:
            if self.overwrite:
                return False
            raise


class PictureFiles:
    """The files of `--picture`, one for each input.

    Args:
        picture: the value of the option, None without it.
        inputs: the inputs.
        names: the names of each input's files.
        overwrite: replace existing files, but never an input.
        folder: the folder of all other files, which need not exist yet; None without one.

    Raises:
        UsageError: the option names one file for several inputs.
    """

    def __init__(
        self,
        picture: str | None,
        *,
        inputs: files.FileSet,
        names: Sequence[OutputNames],
        overwrite: bool,
        folder: Path | None = None,
    ) -> None:
        self._picture = picture
        self._inputs = inputs
        self._overwrite = overwrite
        self._names = names
        is_folder = picture is not None and (
            Path(picture).is_dir()
            or picture.endswith(("/", os.sep))
            or (folder is not None and Path(picture).absolute() == folder.absolute())
        )
        self._is_single_file = len(names) == 1 and not is_folder
        names_file = picture is not None and picture.lower().endswith(PICTURE_EXTENSION)
        if picture is not None and picture.lower().endswith(RASTER_EXTENSIONS) and not is_folder:
            raise UsageError(
                f"--picture {picture} is not an SVG file",
                fix=f"end the name in {PICTURE_EXTENSION}",
            )
        if names_file and not is_folder and len(names) > 1:
            raise UsageError(
                f"--picture {picture} is one file for {len(names):,} pictures",
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
        path = self.place(index)
        assert path is not None
        self._inputs.refuse([path])
        if not self._overwrite:
            files.refuse_existing([path])
        files.refuse_unwritable_file(path)
        return path

    def is_missing(self, index: int) -> bool:
        """Return whether the picture of an input is requested and its file does not exist."""
        path = self.place(index)
        return path is not None and not path.exists()

    def place(self, index: int) -> Path | None:
        """Return the path of an input's picture, unchecked; None without `--picture`."""
        if self._picture is None:
            return None
        names = self._names[index]
        if self._is_single_file:
            return Path(self._picture).absolute()
        return Path(self._picture).absolute() / names.folder / f"{names.stem}{PICTURE_EXTENSION}"

    def write(self, prepared: Prepared, path: Path | None) -> None:
        """Write the picture of a preparation, unless `path` is None."""
        if path is not None:
            files.write_whole(path, prepared.picture(), overwrite=self._overwrite)
