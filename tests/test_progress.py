"""Progress shown while a run trains."""

import io

from rich.console import Console

from dream.training.progress import ConsoleProgress, SilentProgress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_in_a_log_file_a_line_every_ten_seconds_with_speed_and_time_left():
    out, clock = io.StringIO(), Clock()
    progress = ConsoleProgress(Console(file=out, width=40), clock=clock)
    progress.start(10_000, "dream on map", step=1000)
    for second in range(1, 25):
        clock.now = float(second)
        progress.update(1000 + 100 * second, {"train": 0.5} if second < 15 else {"validation": 0.25})
    progress.note("checkpoint saved")
    progress.close()
    progress.close()
    assert out.getvalue().splitlines() == [
        "dream on map: 1,000 of 10,000 steps",
        "dream on map:  2,000/10,000 steps  20%  100 steps/s  ETA 0:01:20  train 0.5",
        "dream on map:  3,000/10,000 steps  30%  100 steps/s  ETA 0:01:10  train 0.5  validation 0.25",
        "checkpoint saved",
        "dream on map:  3,400/10,000 steps  34%  100 steps/s  ETA 0:01:06  train 0.5  validation 0.25",
    ]


def test_the_speed_is_that_of_the_last_half_minute():
    out, clock = io.StringIO(), Clock()
    progress = ConsoleProgress(Console(file=out, width=200), every=1e9, clock=clock)
    progress.start(100_000, "run")
    for second in range(1, 201):
        clock.now = float(second)
        progress.update(10 * second if second <= 100 else 1000 + 200 * (second - 100), {})
    progress.close()
    assert "200 steps/s" in out.getvalue()


def test_before_the_first_update_no_metric_is_logged():
    out = io.StringIO()
    progress = ConsoleProgress(Console(file=out, width=200), clock=Clock())
    progress.start(100, "run")
    progress.close()
    assert out.getvalue().splitlines()[-1] == "run:  0/100 steps  0%  ? steps/s  ETA ?"


def test_past_the_end_the_remaining_time_is_zero():
    out = io.StringIO()
    progress = ConsoleProgress(Console(file=out, width=200), clock=Clock())
    progress.start(100, "run", step=107)
    progress.close()
    assert out.getvalue().splitlines()[-1] == "run:  107/100 steps  100%  ? steps/s  ETA 0:00:00"


def test_in_a_terminal_a_bar_that_is_taken_down():
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=True, width=120, color_system=None)
    progress = ConsoleProgress(console, clock=clock)
    progress.start(1000, "dream on map")
    clock.now = 2.0
    progress.update(500, {"train": 0.8})
    progress.note("[a note, not markup]")
    progress.close()
    text = out.getvalue()
    assert "500/1,000 steps" in text and "250 steps/s" in text and "ETA 0:00:02" in text and "train 0.8" in text
    assert "[a note, not markup]" in text
    assert text.endswith("\x1b[?25h") or text.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_a_silent_progress_prints_nothing(capfd):
    progress = SilentProgress()
    progress.start(10, "run", 5)
    progress.update(7, {"train": 1.0})
    progress.note("note")
    progress.close()
    assert capfd.readouterr() == ("", "")
