"""Progress reports: a few lines where no terminal is, figures a reader can trust."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fusion_kernels.progress import Progress, duration, terminal_progress


def at(seconds: float, share: float) -> Progress:
    return Progress(
        bytes_done=int(share * 4e9),
        bytes_total=4_000_000_000,
        tensors_done=0,
        tensors_total=7,
        tensor="a",
        seconds=seconds,
    )


def test_lines_without_a_terminal():
    stream = io.StringIO()
    with terminal_progress(Console(file=stream, force_terminal=False)) as observe:
        for tenth in range(251):
            observe(at(tenth / 10, tenth / 250))
    lines = stream.getvalue().splitlines()
    assert lines == [
        "merging 7 tensors, 4.00 GB to read and write",
        " 40%  1.60 GB of 4.00 GB  0.16 GB/s  15 s left",
        " 80%  3.20 GB of 4.00 GB  0.16 GB/s  5.0 s left",
    ]


def test_bar_on_a_terminal():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, legacy_windows=False)
    with terminal_progress(console) as observe:
        observe(at(10, 0.5))
    drawn = stream.getvalue()
    assert "2.00 GB of 4.00 GB" in drawn
    assert "0.20 GB/s" in drawn
    assert "10 s left" in drawn


def test_bar_fits_a_narrow_terminal():
    stream = io.StringIO()
    with terminal_progress(Console(file=stream, force_terminal=True, width=80, legacy_windows=False)) as observe:
        observe(at(600, 0.25))
    assert "1.00 GB of 4.00 GB  0.00 GB/s  30 min 00 s left" in stream.getvalue()


def test_nothing_to_do_is_done():
    empty = Progress(bytes_done=0, bytes_total=0, tensors_done=0, tensors_total=0, tensor="", seconds=0.0)
    assert (empty.share, empty.gb_per_second, empty.seconds_left) == (1.0, 0.0, None)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (12.4, "12 s"), (185, "3 min 05 s"), (4320, "1 h 12 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
