from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captoolkit.dsp.tiles import (
    FAULTY_ABOVE,
    HopGrid,
    Tiler,
    fast_fft_length,
    zero_faulty_samples,
)


@given(lengths=st.lists(st.integers(0, 25), max_size=12), tile_samples=st.integers(1, 10))
def test_tiles_and_rest_are_the_stream(lengths: list[int], tile_samples: int) -> None:
    """Every tile has the same length, and tiles and rest together are the blocks."""
    total = sum(lengths)
    stream = np.arange(2 * total, dtype=np.float32).reshape(total, 2)
    tiler = Tiler(channels=2, tile_samples=tile_samples)
    tiles: list[np.ndarray] = []
    start = 0
    for length in lengths:
        tiles += (tile.copy() for tile in tiler.push(stream[start : start + length]))
        start += length
    assert {tile.shape for tile in tiles} <= {(2, tile_samples)}
    joined = np.concatenate([*tiles, tiler.rest()], axis=1)
    assert np.array_equal(joined.T, stream)


@pytest.mark.parametrize("rate_hz", [1, 8000, 11_025, 44_100, 192_000])
def test_steps_are_five_hops_and_tiles_are_twenty_steps(rate_hz: int) -> None:
    """The grid has whole samples at every rate, and a step is a tenth of a second."""
    grid = HopGrid(rate_hz)
    assert grid.step_samples == 5 * grid.hop_samples
    assert grid.tile_samples == 20 * grid.step_samples
    if rate_hz >= 8000:
        assert grid.step_samples / rate_hz == pytest.approx(0.1, rel=0.003)


def test_faulty_samples_become_zero_in_place() -> None:
    """NaN, infinity and absurdly large samples are zeroed and counted; others stay."""
    tile = np.array([[np.nan, 0.5, np.inf], [-np.inf, 2 * FAULTY_ABOVE, -0.25]], np.float32)
    assert zero_faulty_samples(tile) == 4
    assert tile.tolist() == [[0.0, 0.5, 0.0], [0.0, 0.0, -0.25]]
    assert zero_faulty_samples(tile) == 0
    assert zero_faulty_samples(np.zeros((2, 0), np.float32)) == 0


@given(samples=st.integers(1, 100_000))
def test_a_fast_length_is_even_and_has_small_factors_only(samples: int) -> None:
    """The length is at least `samples` and at most a tenth longer, from 100 samples on."""
    length = fast_fft_length(samples)
    assert length >= samples
    assert length % 2 == 0
    if samples >= 100:
        assert length <= 1.1 * samples
    rest = length
    for factor in (2, 3, 5, 7):
        while rest % factor == 0:
            rest //= factor
    assert rest == 1
