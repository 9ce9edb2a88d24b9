"""The protocols of captioners, and a captioner of the caller's own."""

from __future__ import annotations

from typing import cast

from captoolkit.captioners.acoustic import AcousticCaptioner
from captoolkit.captioners.base import (
    Captioner,
    CaptionerSettings,
    Clip,
    ConversationalCaptioner,
    HasTransports,
    MeasuringCaptioner,
    PaidCaptioner,
    ServiceBacked,
    is_paid,
    meter_of,
    ways_to,
)
from captoolkit.model import Caption, CaptionerInfo, Via
from captoolkit.pipeline.caption_meter import CaptionMeter
from captoolkit.support.cancel import Closing


class OwnCaptioner(Closing):
    """The least that a captioner needs."""

    info = CaptionerInfo(name="own", model="own/1")

    def caption(self, clip: Clip) -> Caption:
        """Return the size of the clip."""
        return Caption(text=f"{len(clip.read_bytes())} bytes")

    def close(self) -> None:
        """Release nothing."""


class UploadingCaptioner(OwnCaptioner):
    """A captioner that accepts uploads too."""

    ways = frozenset({Via.BASE64, Via.UPLOAD})


def test_the_least_captioner_accepts_base64_alone() -> None:
    """A captioner without further members has none of the other protocols."""
    with OwnCaptioner() as captioner:
        assert ways_to(captioner) == {Via.BASE64}
        for protocol in (PaidCaptioner, HasTransports, ConversationalCaptioner, ServiceBacked):
            assert not isinstance(captioner, protocol)
        assert not isinstance(captioner, MeasuringCaptioner)
        assert meter_of(captioner) is None


def test_a_captioner_names_the_ways_that_it_accepts() -> None:
    """`ways` is all that `HasTransports` needs."""
    assert ways_to(UploadingCaptioner()) == {Via.BASE64, Via.UPLOAD}


class OtherCaption(AcousticCaptioner):
    """A subclass with captions of its own."""

    def caption(self, clip: Clip) -> Caption:
        """Return the size of the clip."""
        return Caption(text=f"{len(clip.read_bytes())} bytes")


class OtherName(AcousticCaptioner):
    """A subclass with the captions of the local captioner."""


def test_a_subclass_with_another_caption_needs_files() -> None:
    """A meter is used only where it gives the captions of the captioner."""
    assert isinstance(OtherName(), MeasuringCaptioner)
    assert meter_of(OtherName()) is not None
    assert meter_of(OtherCaption()) is None
    changed = OtherName()
    vars(changed)["caption"] = OtherCaption().caption
    assert meter_of(changed) is None


class BareCaptioner:
    """A captioner that costs money and measures, and cannot be closed."""

    info = CaptionerInfo(name="bare", model="bare/1")
    recipe = "ask politely"

    def caption(self, clip: Clip) -> Caption:
        """Return the size of the clip."""
        return Caption(text=f"{len(clip.read_bytes())} bytes")

    def open_meter(self, *, rate_hz: int, channels: int, start_s: float) -> CaptionMeter:
        """Return the meter of the local captioner."""
        return AcousticCaptioner().open_meter(rate_hz=rate_hz, channels=channels, start_s=start_s)


def test_a_captioner_need_not_be_closable() -> None:
    """`recipe` alone decides about the ledger, and `open_meter` about files."""
    bare = cast("Captioner", BareCaptioner())
    assert is_paid(bare)
    assert not is_paid(OwnCaptioner())
    assert meter_of(bare) is not None


def test_settings_do_not_show_the_key() -> None:
    """The options of a captioner can be printed."""
    assert "sk-" not in repr(CaptionerSettings(api_key="sk-secret", model="m"))
