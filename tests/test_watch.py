"""`dream watch`, and what a training run shows of itself."""

import dataclasses
import io
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dream import cli
from dream.config import PRESETS, TrainConfig, override
from dream.eval.pretrained import pretrained, pretrained_names
from dream.eval.record.recorded import load_trials
from dream.eval.show import watching
from dream.eval.show.watching import SUFFIXES, picked, record_run
from dream.training.loop import train
from dream.training.validation import Validation

CONFIG = override(
    TrainConfig(method="dream", env="signpost", seed=1),
    {**PRESETS["debug"], "steps": 2_500, "evaluation.every": 600, "evaluation.show_every": 1_000, "network.width": 8},
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(CONFIG, tmp_path_factory.mktemp("watched") / "run")


def refused(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    assert cli.run(["watch", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("dream: ") and err.count("\n") == 1, err
    return err


# -- the command -------------------------------------------------------------------------------------------------


def test_watch_writes_a_film_and_a_recording_and_describes_the_trials(run: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.run(["watch", str(run), "--trials", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("Trial ") == 2 and "Explored" in printed and "Executed in" in printed and "videos" in printed
    recorded = load_trials(run / "episodes" / "watch-test-any-s0.npz")
    assert len(recorded.problem_id) == 2 and recorded.method == "dream" and recorded.step >= 2_500
    assert (run / "videos" / "watch-test-any-s0.webm").stat().st_size > 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_watch_as_json_into_any_file(run: Path, suffix: str, capsys: pytest.CaptureFixture) -> None:
    out = f"made/there{suffix}"
    arguments = ["watch", str(run), "--out", out, "--problem", "1", "0", "--trials", "1", "--json", "--seed", "3"]
    assert cli.run(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["files"] == [out] and Path(out).stat().st_size > 0
    assert [trial["problem_id"] for trial in printed["trials"]] == [1, 0]
    first = printed["trials"][0]
    assert first["words"].startswith("Problem 1. ") and first["optimal_return"] == [1.0] and len(first["return"]) == 1
    assert first["information"] <= first["information_max"]


def test_the_same_seed_is_the_same_trials() -> None:
    run = pretrained("cooking")
    (first, _), (again, _), (other, _) = (record_run(run, trials=6, seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(first.execute.obs, again.execute.obs) and np.array_equal(first.problem_id, again.problem_id)
    assert not np.array_equal(first.problem_id, other.problem_id)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["RUN", "--out", "film.mp4"],
            "--out film.mp4 has an unknown format: give a name that ends in .webm, .gif, .png",
        ),
        (["RUN", "--trials", "0"], "--trials is 0: it must be an integer from 1"),
        (["RUN", "--seed", "-1"], "--seed is -1"),
        (["RUN", "--pick", "nicest"], "failures"),
        (["RUN", "--problem", "2"], "--problem 2 does not exist: signpost has problems 0 to 1"),
        (["RUN", "--pretrained", "bus"], "give either a run directory or --pretrained FAMILY"),
        ([], "for example: dream watch --pretrained bus"),
        (["nowhere"], "nowhere is not a directory"),
        (["--pretrained", "taxi"], "no pretrained pair 'taxi': choose one of"),
        (["."], "is not a run directory"),
    ],
)
def test_errors_are_one_sentence(arguments: list[str], sentence: str, run: Path, capsys: pytest.CaptureFixture) -> None:
    assert sentence in refused(capsys, *(str(run) if word == "RUN" else word for word in arguments))


def test_trials_are_picked_by_regret(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, env = record_run(run, trials=5)
    returns = np.array([[1.0], [0.4], [-1.0], [0.6], [0.2]])
    printed = dataclasses.replace(recorded, returns=returns, optimal=np.array([[1.0], [0.4], [1.0], [1.0], [1.0]]))
    assert picked(printed, env, "any", 2) == [0, 1]
    assert picked(printed, env, "worst", 3) == [2, 4, 3]
    assert picked(printed, env, "best", 2) == [0, 1]
    assert picked(printed, env, "failures", 5) == [2, 4]  # less than halfway from 0 to their optimum
    with pytest.raises(watching.UserError, match="none of 5 trials failed"):
        picked(dataclasses.replace(printed, returns=printed.optimal), env, "failures", 5)
    blind = dataclasses.replace(printed, optimal=None)
    assert picked(blind, env, "worst", 2) == [2, 4]
    with pytest.raises(watching.UserError, match="no exact bounds"):
        picked(blind, env, "failures", 2)


def test_the_trials_that_failed_are_found_among_many(run: Path) -> None:
    recorded, _ = record_run(run, trials=2, pick="worst")
    everything, _ = record_run(run, trials=watching.POOL)
    assert recorded.returns.min() == everything.returns.min()


class Window:
    """Stands in for tkinter: closes itself after the first frame."""

    class TclError(Exception):
        pass

    def __init__(self, display: bool) -> None:
        self.display, self.calls, self.images = display, [], 0
        self.Tk, self.PhotoImage, self.Label = self.open, self.image, lambda *_, **__: self

    def open(self) -> Any:
        if not self.display:
            raise self.TclError("no display name and no $DISPLAY environment variable")
        return self

    def image(self, *, master: Any, data: bytes, format: str) -> int:
        assert data.startswith(b"P6 688 428 255\n") and len(data) == 15 + 688 * 428 * 3
        self.images += 1
        return self.images

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: self.calls.append(name)


def test_live_plays_in_a_window(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    window = Window(display=True)
    monkeypatch.setitem(sys.modules, "tkinter", window)  # type: ignore[arg-type]
    assert cli.run(["watch", str(run), "--live", "--trials", "1", "--out", "a.png"]) == 0
    assert window.images > 2 and {"title", "after", "mainloop"} <= set(window.calls)


def test_without_a_display_the_file_is_written_and_the_reason_given(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for module in (Window(display=False), None):
        monkeypatch.setitem(sys.modules, "tkinter", module)  # type: ignore[arg-type]
        assert cli.run(["watch", str(run), "--live", "--trials", "1", "--out", "a.png"]) == 0
        err = capsys.readouterr().err
        assert err.startswith("dream: cannot open a window (") and err.count("\n") == 1
        assert Path("a.png").exists()


def test_the_pairs_of_the_package_can_be_watched(capsys: pytest.CaptureFixture) -> None:
    for name in pretrained_names():
        assert cli.run(["watch", "--pretrained", name, "--trials", "1", "--out", f"{name}.npz"]) == 0
        assert "Certain after step" in capsys.readouterr().out


# -- while training ----------------------------------------------------------------------------------------------


def test_a_run_shows_itself_in_tensorboard_and_keeps_recordings(run: Path) -> None:
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert set(events.Tags()["images"]) == {"show/trials", "show/visits", "show/z", "show/film"}
    steps = [image.step for image in events.Images("show/trials")]
    logged = [json.loads(line)["step"] for line in (run / "metrics.jsonl").open()]
    between = list(itertools.pairwise([0, *logged]))
    due = [step for before, step in between if before // 1_000 != step // 1_000 or step == logged[-1]]
    assert steps == due and 2 <= len(due) < len(logged)  # the first validation after 1,000 and 2,000, and the end
    for film in events.Images("show/film"):
        with Image.open(io.BytesIO(film.encoded_image_string)) as played:
            assert played.format == "GIF" and played.size == (film.width, film.height) and played.n_frames > 2
    recorded = [load_trials(path) for path in sorted((run / "episodes").glob("validation_*.npz"))]
    assert [trials.step for trials in recorded] == steps and len(recorded[0].problem_id) == 2


def test_showing_does_not_change_training_and_can_be_switched(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Validation, "show", lambda *arguments: pytest.fail("nothing was to be shown"))
    silent = override(CONFIG, {"evaluation.show_every": 0})
    other = train(silent, tmp_path / "run")
    assert (other / "metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()
    weights = [next((path / "checkpoints").glob("0*/weights.safetensors")).read_bytes() for path in (run, other)]
    assert weights[0] == weights[1] and not (other / "episodes").exists()
    assert train(override(CONFIG, {"evaluation.show_every": 700}), other) == other  # the same run, as far as results go
