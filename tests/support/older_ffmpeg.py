"""The limits of ffmpeg 5.1 (Debian 12), and the tests that meet each of them.

The media tests also run on an ffmpeg that is not the tested release. There each test of this table
may fail, and the run ends with one line for each limit that it met.
"""

from __future__ import annotations

from collections import Counter

AMR = "cannot encode AMR (Debian's build)"
PADDING = "counts the padding at the end of AAC, MP3 and AC-3 in MP4, MOV and Matroska as sound"
CHANGES = "does not report where the format of joined files changes"
DISK = (
    "does not report a full disk or a missing folder, so that the segment is refused as too short"
)
DELAY = "loses the encoder's delay where it copies frames out of Matroska"
CAPTIONS = "moves captions and chapters with all streams by the priming of a codec"
DECODING = "decodes Vorbis, WMA, TrueHD and ambisonic sound with other samples, or not at all"
MESSAGES = "words a refusal in another way"

LIMITS = {
    "test_durations.py::test_any_duration_is_exact_to_the_sample": PADDING,
    "test_durations.py::test_joined_files": CHANGES,
    "test_elementary.py::test_the_lead_is_the_delay_that_the_container_skips": DELAY,
    "test_embed.py::test_a_track_that_begins_late_has_its_captions_late": CAPTIONS,
    "test_embed.py::"
    "test_every_container_gets_chapters_and_subtitles_and_keeps_its_streams": CAPTIONS,
    "test_embed.py::test_one_entry_is_one_subtitle": CAPTIONS,
    "test_embed.py::test_segments_as_long_as_services_take_keep_their_times": CAPTIONS,
    "test_embed.py::test_the_subtitles_are_the_captions_at_their_times": CAPTIONS,
    "test_encode.py::test_a_file_is_no_larger_than_was_predicted": AMR,
    "test_encode.py::test_a_file_may_reach_its_limit": AMR,
    "test_encode.py::test_a_folder_that_is_not_there_is_told": DISK,
    "test_encode.py::test_a_full_disk_is_told": DISK,
    "test_encode.py::test_a_torn_file_is_refused": AMR,
    "test_encode.py::test_a_wrong_format_is_refused": AMR,
    "test_encode.py::test_a_wrong_length_is_refused": AMR,
    "test_encode.py::test_any_length_is_held": AMR,
    "test_encode.py::test_one_byte_too_many_is_refused": AMR,
    "test_encode.py::test_one_sample_too_many_is_refused": AMR,
    "test_encode.py::test_samples_that_are_no_sound_do_no_harm": AMR,
    "test_encode.py::test_sixteen_bits_go_in_as_they_are": AMR,
    "test_encode.py::test_stopping_leaves_no_encoder": AMR,
    "test_encode.py::test_too_large_is_told_apart": AMR,
    "test_encode.py::test_what_goes_in_comes_out": AMR,
    "test_encode.py::test_what_is_over_full_scale_is_clipped_not_wrapped": AMR,
    "test_formats.py::test_a_file_is_what_it_was_made_as": PADDING,
    "test_frame_copy.py::test_a_piece_begins_where_its_span_says": DELAY,
    "test_prepare.py::test_chosen_track_is_prepared": PADDING,
    "test_probe_file.py::test_a_playlist_is_refused": MESSAGES,
    "test_probe_file.py::test_ambisonic_channels_are_counted": DECODING,
    "test_probe_file.py::test_joined_mp4s": PADDING,
    "test_probe_file.py::test_real_recordings_last_as_long_as_their_decode": PADDING,
    "test_probe_file.py::test_the_fixtures_are_what_they_were_made_as": PADDING,
    "test_saving.py::test_full_disk_is_an_output_error": DISK,
    "test_split.py::test_a_lossless_codec_that_begins_at_few_packets_is_kept_as_flac": DECODING,
    "test_split.py::test_exact_pieces_hold_the_decoded_samples": DECODING,
    "test_split.py::test_more_pieces_than_one_command_can_name_are_refused_at_once": MESSAGES,
    "test_tags.py::test_chapters_are_on_the_clock_of_the_track": CAPTIONS,
    "test_transcode_direct.py::test_faults_are_told_apart": DISK,
}


def limit_of(node_id: str) -> str | None:
    """Return the limit that a test meets; None for a test that passes on ffmpeg 5.1 as well."""
    path, _, function = node_id.partition("[")[0].partition("::")
    return LIMITS.get(f"{path.rpartition('/')[2]}::{function}")


def limits_met(reasons: list[str]) -> list[str]:
    """Return one line for each limit that tests met, the most frequent first."""
    return [f"{limit} ({count} tests)" for limit, count in Counter(reasons).most_common()]
