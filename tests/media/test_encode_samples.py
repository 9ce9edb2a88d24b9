from __future__ import annotations

import numpy as np
import pytest

from captoolkit.media.encode_samples import as_float32, as_int16


def test_samples_keep_their_values_in_both_types() -> None:
    """Samples of 16 bits are the same in float32 and back, at both ends of the range too."""
    values = np.array([[-32768], [-1], [0], [1], [32767]], np.int16)
    np.testing.assert_array_equal(as_int16(as_float32(values)), values)
    assert as_int16(values) is values or np.shares_memory(as_int16(values), values)


@pytest.mark.parametrize(
    ("value", "bounded"), [(1.5, 1.0), (-3.0, -1.0), (np.inf, 1.0), (np.nan, 0.0)]
)
def test_samples_are_clipped_at_full_scale(value: float, bounded: float) -> None:
    """Samples beyond full scale are clipped, and one that is not a number is silent."""
    block = np.array([[value], [0.5]], np.float32)
    np.testing.assert_array_equal(as_float32(block), np.array([[bounded], [0.5]], np.float32))
    assert as_int16(block).tolist() == [[min(round(bounded * 32768), 32767)], [16384]]
