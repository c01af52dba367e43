"""Comparing recorded frames: `dream doctor --frames`, and `dream bench --env sign`."""

import json
from pathlib import Path

import numpy as np
import pytest

from dream.cli import run
from dream.envs.sign.check import compare_frames
from dream.envs.sign.fast import FastBackend
from dream.envs.sign.layout import LAYOUTS
from dream.errors import UserError
from dream.tools import bench


def record(path: Path, brighter: int = 0, **change: np.ndarray) -> Path:
    """A file of two of our own frames, made brighter."""
    pose, yaw, colour = np.array([[5.0, 5.0, 2.0], [7.0, 10.0, 0.0]]), np.zeros((2, 6)), np.array([2, 0])
    frames = FastBackend(2, LAYOUTS["sign"]).reset(colour, pose, yaw)
    frames[1] = np.minimum(frames[1], 200) + brighter if brighter else frames[1]
    data = {"frames": frames, "agent_x_z_dir": pose, "color_index": colour, "object_dirs": yaw, **change}
    np.savez(path, **{name: array for name, array in data.items() if array is not None})
    return path


def test_our_frames_are_close_to_miniworlds() -> None:
    """Eight recorded frames of MiniWorld 2.1.0 (Mesa's llvmpipe), the worst of 310 among them; needs no OpenGL."""
    found = compare_frames(Path(__file__).parent / "data" / "miniworld_sign_frames.npz")
    assert len(found.error) == 8 and found.error.mean() < 0.4 and found.error.max() < 0.5


def test_identical_frames_have_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(tmp_path / "a.npz")
    assert run(["doctor", "--frames", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"frames": 2, "mean_abs_error": 0.0, "worst_frame_error": 0.0, "worst_frame": 0}


def test_a_difference_is_found_and_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(tmp_path / "a.npz", brighter=3)
    error = compare_frames(path).error
    assert error[0] == 0 and error[1] == pytest.approx(3, abs=0.2)
    assert run(["doctor", "--frames", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"2 frames: mean absolute error {error.mean():.3f} of 255, worst frame")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": None}, "has no frames: give an .npz with frames, agent_x_z_dir"),
        ({"object_dirs": np.zeros((2, 9))}, r"object_dirs in .* has shape \(2, 9\): give \(N, 6\)"),
        ({"frames": np.zeros((2, 60, 80, 3))}, "frames in .* are float64: give uint8"),
        ({"color_index": np.array([0, 7])}, "cannot be drawn: colour holds 0 to 7"),
        ({"agent_x_z_dir": np.full((2, 3), np.nan)}, "cannot be drawn: pose or places hold numbers that are not fin"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare_frames(record(tmp_path / "a.npz", **change))


def test_no_such_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--frames", str(tmp_path / "none.npz")]) == 2
    assert "none.npz does not exist" in capsys.readouterr().err
    (tmp_path / "text.npz").write_text("no archive")
    assert run(["doctor", "--frames", str(tmp_path / "text.npz")]) == 2
    assert "text.npz cannot be read" in capsys.readouterr().err


@pytest.fixture
def _no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained: the frames alone are measured."""
    monkeypatch.setattr(bench, "measure_training", lambda label, name, *_: {"env": name, "method": label} | TRAINING)


TRAINING = dict.fromkeys(("train_steps_per_s", "sequences_per_s", "updates_per_s", "replay_ratio"), 1.0) | {
    "env_share": 0.5,
    "act_share": 0.25,
    "learn_share": 0.25,
}


@pytest.mark.usefixtures("_no_training")
def test_bench_says_how_much_faster(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = iter([1.0, 1.0, 600.0, 60.0])
    monkeypatch.setattr(bench, "play_whole_episodes", lambda *_: next(speeds))
    real_make = bench.make
    monkeypatch.setattr(bench, "make", lambda name, many, **_: real_make(name, many))
    assert run(["bench", "--env", "sign", "--seconds", "0.000001", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["env_steps_per_s"], found["miniworld_steps_per_s"]) == (600.0, 60.0)
    assert found["env_speedup_over_miniworld"] == 10.0


@pytest.mark.usefixtures("_no_training")
def test_bench_without_opengl(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real_make = bench.make

    def make(name: str, many: int, backend: str = "fast"):
        if backend == "miniworld":
            raise UserError("no OpenGL")
        return real_make(name, many)

    monkeypatch.setattr(bench, "make", make)
    assert run(["bench", "--env", "sign", "--seconds", "0.01"]) == 0
    assert "sign: MiniWorld, also on one core: cannot run here" in capsys.readouterr().out
