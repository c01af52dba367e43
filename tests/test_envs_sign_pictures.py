"""Pictures and videos of the sign families."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dream.envs import make, render
from dream.envs.sign.family import FORWARD, LEFT, SignFamily
from dream.eval.show.video import write_video


def played(phase: str = "explore", steps: int = 3, **parameters: object) -> SignFamily:
    env = make("sign", 2, **parameters)
    assert isinstance(env, SignFamily)
    env.reset(seed=0, options={"problem_id": np.array([1, 2]), "phase": phase})
    for step in range(steps):
        env.step(np.array([FORWARD, LEFT] if step % 2 else [LEFT, FORWARD]))
    return env


def has(picture: np.ndarray, colour: render.Colour, least: int = 20) -> bool:
    return int((np.abs(picture.astype(int) - colour).max(axis=2) < 12).sum()) >= least


def test_the_map_shows_where_the_agent_went_and_what_it_sees() -> None:
    env = played()
    before, after = played(steps=2).episode_picture(0), env.episode_picture(0, "a caption")
    assert after.shape == (400, 352, 3) and after.dtype == np.uint8 and (before != after).any()
    shown = cv2.resize(env.last_obs[0], (128, 96), interpolation=cv2.INTER_NEAREST)
    assert (after[render.HEADER + 24 :, 216:][:96, :128] == shown).all()
    assert (env.episode_picture(1) != after).any()
    assert has(after, (214, 52, 50)) and has(after, (45, 80, 220)) and has(after, (30, 150, 60))


def test_the_way_is_golden_where_the_sign_was_in_view() -> None:
    env = played()
    assert not has(env.episode_picture(0), render.GOLD, 5)
    env.backend.pose[:] = [7.0, 10.25, -np.pi / 4]
    env.step(np.array([LEFT, LEFT]))
    env.step(np.array([FORWARD, FORWARD]))
    assert env.sign_pixels()[0] > 100 and has(env.episode_picture(0), render.GOLD, 5)


def test_the_goal_is_ringed_in_execution_only() -> None:
    assert has(played("execute").episode_picture(0), render.GOLD)
    assert not has(played("explore").episode_picture(0), render.GOLD)


def test_frames_alone_make_a_picture() -> None:
    env = played("execute")
    trail = [env.last_obs[0]] * 6
    picture = env.draw(1, "execute", env.last_obs[0], np.array([1]), "caption", trail)
    assert picture.shape == (400, 352, 3)
    assert (picture != env.draw(1, "execute", env.last_obs[0], np.array([0]), "caption", trail)).any()
    assert (picture != env.draw(1, "execute", env.last_obs[0], np.array([1]), "caption")).any()
    assert len(make("sign", 2, render_mode="rgb_array").render_mode or "") > 0


def test_a_video_can_be_read_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    env = played()
    pictures = [env.episode_picture(0), env.episode_picture(1), env.last_obs[0]]
    path = tmp_path / "episode.webm"
    write_video(path, pictures[:2])
    film = cv2.VideoCapture(str(path))
    good, first = film.read()
    assert good and first.shape == (400, 352, 3)
    assert np.abs(first[..., ::-1].astype(int) - pictures[0]).mean() < 6
    assert capfd.readouterr().err == ""
    for where, shown, message in (
        (tmp_path / "a.mp4", pictures[:1], "a.mp4 is no .webm"),
        (tmp_path / "a.webm", [], "there are no pictures"),
        (tmp_path / "none" / "a.webm", pictures[:1], "cannot be written: is there such a folder"),
    ):
        with pytest.raises(ValueError, match=message):
            write_video(where, shown)


def test_nonsense_is_refused() -> None:
    with pytest.raises(RuntimeError, match="call reset first"):
        make("sign", 1).episode_picture()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="member 2 does not exist: there are 0 to 1"):
        played().episode_picture(2)
