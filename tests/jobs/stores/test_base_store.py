"""Tests of what all stores share: names, URLs and the version of a file."""

from __future__ import annotations

import pytest

from captoolkit.errors import InputError
from captoolkit.jobs.stores.base_store import refuse_outside, scheme_of, split_url


@pytest.mark.parametrize("name", ["/etc/passwd", "../a", "talks/../../a", "talks\\..\\..\\a"])
def test_a_name_that_leaves_the_store_is_refused(name: str) -> None:
    """No separator of any system hides a parent folder."""
    with pytest.raises(InputError, match="leaves s3://bucket"):
        refuse_outside(name, "s3://bucket")


def test_dots_inside_names_are_no_parent_folders() -> None:
    """A name may hold two dots next to other characters."""
    refuse_outside("talks/..a/b..c", "s3://bucket")


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("GS://b/a", "gs"), ("a+b://c", "a+b"), ("x:/a", None), ("a/b://c", None), ("", None)],
)
def test_a_scheme_needs_two_slashes_at_the_start(url: str, scheme: str | None) -> None:
    """A drive of Windows and a path with `://` in it have no scheme."""
    assert scheme_of(url) == scheme


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/"])
def test_a_store_itself_has_an_empty_name(url: str) -> None:
    """The URL of a bucket names no file in it."""
    assert split_url(url) == ("s3://bucket", "")
