"""The run of asking that the options of `caption` describe."""

from __future__ import annotations

from pathlib import Path

import pytest

from captoolkit.api.asking_run import open_run
from captoolkit.dispatch.ledger import IN_MEMORY
from captoolkit.errors import KeyMissingError, OutputError, UsageError
from captoolkit.model import Caption
from tests.support.captioning import InstantClock, OwnCaptioner, segment, submit


class Nameless:
    """A captioner without `info`."""

    def caption(self, clip: object) -> Caption:
        """Return a caption."""
        return Caption(text="heard")


SINGAPORE = "https://dashscope-intl.aliyuncs.com/api/v1"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"concurrency": True}, "concurrency=True"),
        ({"give_up_after": -1}, "give_up_after=-1 must be at least 0; 0 never gives up"),
        ({"run_timeout_s": float("nan")}, "run_timeout_s=nan"),
        ({"stream": "yes"}, "stream='yes'"),
        ({"max_cost": "much"}, "max_cost=much"),
        ({"clock": 3}, "clock=3"),
        ({"ledger": ""}, "ledger='' is no name of a file"),
        ({"on_event": 3}, "on_event=3"),
        ({"captioner": 3}, "captioner=3 is no captioner"),
        ({"captioner": Nameless()}, "captioner=.* has no name and no model; give it the attribute"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, object], problem: str) -> None:
    """Each is one error that shows the value."""
    given = {"captioner": OwnCaptioner(lambda clip: "heard"), **options}
    with pytest.raises(UsageError, match=problem):
        open_run(**given)  # type: ignore[arg-type]


def test_what_a_run_needs_is_opened_at_once(tmp_path: Path) -> None:
    """A missing key and a ledger that cannot be used are errors before the first segment."""
    with pytest.raises(KeyMissingError):
        open_run("dashscope", region="singapore")
    (tmp_path / "a-file").write_text("mine")
    with pytest.raises(OutputError, match="the ledger"):
        open_run(OwnCaptioner(lambda clip: "heard"), ledger=tmp_path / "a-file" / "ledger")


def test_a_free_captioner_has_no_ledger() -> None:
    """The acoustic captioner costs nothing, so nothing is recorded."""
    with open_run("acoustic") as run:
        assert (run.is_paid, run.may_cost) == (False, False)


@pytest.mark.parametrize(
    ("rates", "waited_s"),
    [({}, 4.0), ({"requests_per_minute": 6}, 40.0)],
    ids=["of the service", "of the caller"],
)
def test_the_caller_may_set_the_rates(
    tmp_path: Path, rates: dict[str, float], waited_s: float
) -> None:
    """The distance between requests follows the caller's rate, with the same slow start."""
    clock = InstantClock()
    captioner = OwnCaptioner(lambda clip: "heard", base_url=SINGAPORE)
    options = {"ledger": IN_MEMORY, "clock": clock, "concurrency": 1, **rates}
    with open_run(captioner, **options) as run:  # type: ignore[arg-type]
        futures = [submit(run, segment(tmp_path, index), path="a.wav") for index in range(1, 5)]
        assert all(future.result(10).requested for future in futures)
    assert sum(clock.waits_s) == pytest.approx(waited_s)
