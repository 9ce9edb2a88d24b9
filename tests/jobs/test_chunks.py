from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from captoolkit.jobs.chunks import (
    CHUNK_WORK_S,
    MOST_INPUTS,
    chunks_of,
    predicted_duration_s,
    predicted_work_s,
)
from captoolkit.jobs.listing.inputs import Input

LENGTHS = st.lists(st.none() | st.floats(0, 1e5), max_size=300)


def inputs_of(lengths: list[float | None]) -> list[Input]:
    """Inputs with these lengths."""
    return [
        Input(id=str(n), url=f"{n}.wav", relative=f"{n}.wav", duration_s=length)
        for n, length in enumerate(lengths)
    ]


@given(LENGTHS, st.integers(1, 50))
def test_chunks_hold_every_input_once(lengths: list[float | None], window: int) -> None:
    """Whatever the window, chunks are disjoint, complete, numbered, and within both bounds."""
    inputs = inputs_of(lengths)
    chunks = list(chunks_of(inputs, "prepare", window=window))
    assert sorted(each.id for chunk in chunks for each in chunk.inputs) == sorted(
        each.id for each in inputs
    )
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    for chunk in chunks:
        work = [predicted_work_s(each, "prepare") for each in chunk.inputs]
        assert 1 <= len(work) <= MOST_INPUTS
        assert len(work) == 1 or sum(work) <= CHUNK_WORK_S + 1e-6
        assert work == sorted(work, reverse=True)


@given(LENGTHS)
def test_chunks_are_a_function_of_the_inputs(lengths: list[float | None]) -> None:
    """The same listing gives the same chunks."""
    inputs = inputs_of(lengths)
    assert list(chunks_of(inputs, "split")) == list(chunks_of(iter(inputs), "split"))


def test_a_listing_is_read_window_by_window() -> None:
    """The first chunk is known before the listing has been read to its end."""
    read = []

    def listing() -> object:
        for number in range(1000):
            read.append(number)
            yield inputs_of([1.0])[0]

    next(iter(chunks_of(listing(), "prepare", window=10)))  # type: ignore[arg-type]
    assert len(read) == 10


def test_a_length_is_that_of_the_manifest_or_follows_from_the_size() -> None:
    """A stated length counts; otherwise bytes and ending give a guess."""
    wav = Input(id="1", url="a.WAV", relative="a.WAV", size_bytes=960_000)
    mp3 = Input(id="1", url="a.mp3", relative="a.mp3", size_bytes=960_000)
    stated = Input(id="1", url="a.mp3", relative="a.mp3", size_bytes=1, duration_s=7.0)
    assert [predicted_duration_s(each) for each in (wav, mp3, stated)] == [10.0, 60.0, 7.0]
