"""By which way a plan is carried out."""

from __future__ import annotations

from captoolkit.model import Action
from captoolkit.pipeline.frame_copy import FrameCopy
from captoolkit.pipeline.job import Job
from captoolkit.pipeline.packet_copy import PacketCopy
from captoolkit.pipeline.pass_through import PassThrough
from captoolkit.pipeline.report import Report
from captoolkit.pipeline.transcode import Transcode

Making = PassThrough | FrameCopy | PacketCopy | Transcode


def begin(job: Job, report: Report, *, jobs: int) -> Making:
    """Return the segments of a plan in the making: to be iterated once, and closed.

    Args:
        job: what is made, of what, where.
        report: told of progress and of what turns out otherwise, by the threads that work.
        jobs: how many stretches of the recording are worked on at once.
    """
    if job.plan.action is Action.PASS_THROUGH:
        return PassThrough(job, report)
    if job.plan.muxer:
        return PacketCopy(job, report, jobs=jobs)
    if job.plan.encoding is None:
        return FrameCopy(job, report, jobs=jobs)
    return Transcode(
        job,
        job.plan.encoding,
        jobs=jobs,
        on_progress=report.progressed,
        on_replaced=report.replaced,
        on_warned=report.warned,
    )
