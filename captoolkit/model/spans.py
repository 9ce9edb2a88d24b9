"""A stretch of time as a whole number of samples."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A half-open stretch of samples: `start_samples <= n < end_samples` at `rate_hz`.

    ```python
    >>> span = Span(start_samples=0, end_samples=12_000, rate_hz=8_000)
    >>> span.samples, span.exact_s, span.end_s
    (12000, Fraction(3, 2), 1.5)

    ```
    """

    start_samples: int
    end_samples: int
    rate_hz: int

    @property
    def samples(self) -> int:
        """The number of samples."""
        return self.end_samples - self.start_samples

    def shifted(self, by_samples: int) -> Span:
        """Return the stretch that is later by `by_samples`."""
        return Span(
            start_samples=self.start_samples + by_samples,
            end_samples=self.end_samples + by_samples,
            rate_hz=self.rate_hz,
        )

    @property
    def start_s(self) -> float:
        """The start in seconds, for display."""
        return self.start_samples / self.rate_hz

    @property
    def end_s(self) -> float:
        """The end in seconds, for display."""
        return self.end_samples / self.rate_hz

    @property
    def duration_s(self) -> float:
        """The length in seconds, for display."""
        return self.samples / self.rate_hz

    @property
    def exact_s(self) -> Fraction:
        """The length in seconds, exactly."""
        return Fraction(self.samples, self.rate_hz)
