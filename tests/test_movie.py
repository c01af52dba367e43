"""Films and contact sheets: written, decoded again, and showing the moments that matter."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from dream.config import TrainConfig, override
from dream.envs import MetaEnv, make
from dream.envs.render import Canvas
from dream.errors import UserError
from dream.eval.record.beliefs import part_beliefs
from dream.eval.record.recorded import RecordedStreams, RecordedTrials
from dream.eval.record.recorder import record_trials
from dream.eval.show.movie import COLUMNS, Movie
from dream.eval.show.panel import Panel
from dream.eval.show.picture_files import HOLD, write_film, write_png
from dream.eval.show.visit_map import count_visits, visit_picture, visits
from dream.eval.show.z_picture import principal_axes, z_picture
from dream.methods.build import build


@pytest.fixture(scope="module")
def played() -> tuple[RecordedTrials, MetaEnv]:
    torch.manual_seed(0)
    config = override(
        TrainConfig(method="dream", env="cooking", env_parameters={"horizon": 9}),
        {"trial.explore_episodes": 2, "trial.execute_episodes": 2},
    )
    pair, env = build(config, 2)
    return record_trials(pair, env, np.array([5, 9]), 0, step=1000), env


def by_hand(env: MetaEnv, problem: int, actions: list[int]) -> RecordedTrials:
    """An exploration with given actions, and an execution of no steps."""
    obs = [env.reset(seed=0, options={"problem_id": np.array([problem]), "phase": "explore"})[0]]
    obs += [env.step(np.array([action]))[0] for action in actions]
    steps = len(actions)

    def streams(obs: np.ndarray, steps: int) -> RecordedStreams:
        return RecordedStreams(
            obs, np.resize(actions, (1, max(1, steps))), np.zeros((1, max(1, steps)), np.float32),
            np.zeros((1, max(1, steps)), bool), np.arange(max(1, steps))[None] < steps,
            np.arange(max(1, steps))[None] == 0, np.zeros((1, *env.instruction_space.shape), np.int64),
        )  # fmt: skip

    return RecordedTrials(
        env=env.family, env_parameters={}, method="dream", step=0, seed=0, problem_id=np.array([problem]),
        explore=streams(np.stack(obs, 1), steps), execute=streams(np.stack(obs[:2], 1), 0),
        returns=np.zeros((1, 1)), optimal=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def film(played: tuple[RecordedTrials, MetaEnv]) -> list[np.ndarray]:
    return Movie(*played).film(1)


def test_a_film_has_a_frame_for_every_observation(
    played: tuple[RecordedTrials, MetaEnv], film: list[np.ndarray], tmp_path: Path
) -> None:
    recorded, _ = played
    assert len(film) == recorded.explore.length[1] + 1 + (recorded.execute.length[2:4] + 1).sum()
    assert {frame.shape for frame in film} == {(428, 688, 3)} and not np.array_equal(film[0], film[1])
    write_film(tmp_path / "videos" / "a.webm", [film, film[:3]])
    decoded = cv2.VideoCapture(str(tmp_path / "videos" / "a.webm"))
    frames = []
    while (read := decoded.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    assert len(frames) == len(film) + 3 + 2 * HOLD
    for shown, drawn in ((frames[0], film[0]), (frames[len(film) + HOLD - 1], film[-1]), (frames[-1], film[2])):
        assert np.abs(shown.astype(float) - drawn).mean() < 6
    assert [path.name for path in (tmp_path / "videos").iterdir()] == ["a.webm"]


def test_a_gif_and_a_png(film: list[np.ndarray], tmp_path: Path) -> None:
    write_film(tmp_path / "a.gif", [film[:4], film[4:6]])
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 6 and gif.size == (688, 428)
        lasting = []
        for number in range(6):
            gif.seek(number)
            lasting.append(gif.info["duration"])
        shown = np.asarray(gif.convert("RGB"), float)
    assert lasting[3] == lasting[5] == (1 + HOLD) * 330 == (1 + HOLD) * lasting[0]
    assert np.abs(shown - film[5]).mean() < 6
    write_png(tmp_path / "a.png", film[0])
    with Image.open(tmp_path / "a.png") as png:
        assert np.array_equal(np.asarray(png), film[0])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        write_png(tmp_path / "file" / "a.png", film[0])
    with pytest.raises(UserError, match="Cannot write"):
        write_film(tmp_path / "file" / "a.webm", [film])


def test_a_sheet_has_a_row_for_each_episode_and_shows_where_most_was_found(
    played: tuple[RecordedTrials, MetaEnv],
) -> None:
    recorded, env = played
    movie = Movie(recorded, env)
    one, both = movie.sheet([0]), movie.sheet([0, 1])
    assert both.shape == (2 * one.shape[0], one.shape[1], 3)
    steps = recorded.explore.mask.shape[1]
    prefixes = np.zeros((2, steps + 1, recorded.codes.shape[1]), np.float32)  # type: ignore[union-attr]
    assert recorded.code is not None
    prefixes[:, 5:] = 0.8 * recorded.code[:, None]  # step 5 reveals nearly all
    sudden = Movie(dataclasses.replace(recorded, prefixes=prefixes), env)
    slots = recorded.explore.episodes(0)[0]
    moments = sudden.shown_moments(0, "explore", slots, COLUMNS)
    assert slots.stop > COLUMNS and len(moments) == COLUMNS == len(set(moments))
    assert moments == sorted(moments) and moments[0] == 0 and moments[-1] == slots.stop - 1 and 5 in moments
    assert sudden.shown_moments(0, "execute", slice(0, 3), COLUMNS) == [0, 1, 2]


def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is written on pictures from now on."""
    written: list[str] = []
    monkeypatch.setattr(Canvas, "text", lambda self, text, *rest, **named: written.append(text))
    return written


def test_a_sheet_says_how_many_steps_it_leaves_out(
    played: tuple[RecordedTrials, MetaEnv], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, _ = played
    written = texts(monkeypatch)
    Movie(*played).sheet([0], columns=4)
    lengths = [slots.stop - slots.start for slots in recorded.explore.episodes(0)]
    assert max(lengths) > 4
    assert [text.split("; ")[1] for text in written if text.endswith("not shown") and text.startswith("problem")] == [
        f"{length - 4} steps not shown" for length in lengths if length > 4
    ]
    written.clear()
    Movie(*played).sheet([0], columns=30)
    assert not any("not shown" in text for text in written)


def test_a_sheet_carries_information_and_belief(
    played: tuple[RecordedTrials, MetaEnv], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, env = played
    assert recorded.information is not None
    written = texts(monkeypatch)
    Movie(recorded, env).sheet([1], columns=30)
    first = recorded.explore.episodes(1)[0]
    found = recorded.information[1, first]
    printed = [text for text in written if "nats (" in text or text == "0.0 nats"]
    gains = [0.0, *np.diff(found)]
    assert printed[: len(found)] == [
        f"{round(now, 1) + 0.0:.1f} nats" + (f" ({round(gain, 1) + 0.0:+.1f})" if slot else "")
        for slot, (now, gain) in enumerate(zip(found, gains, strict=True))
    ]
    about = next(one for one in part_beliefs(recorded, env) if one.part.name == "drawer 2")
    last = about.probability[1, first.stop - 1]
    likeliest = f"drawer 2 = {about.part.value_name(int(last.argmax()))}  {last.max():.0%}"
    assert [text for text in written if text.startswith("drawer 2 = ")][len(found) - 1] == likeliest


def test_values_and_gain_belong_to_the_action_that_the_picture_names(
    played: tuple[RecordedTrials, MetaEnv], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, env = played
    values = np.zeros_like(recorded.execute.values)
    values[0, 1, 4] = 7.5  # of "no-op" when step 2 is chosen
    action = recorded.execute.action.copy()
    action[0, 1] = 4
    streams = dataclasses.replace(recorded.execute, values=values, action=action)
    panel = Panel(dataclasses.replace(recorded, execute=streams), env)
    written = texts(monkeypatch)
    panel.draw(0, "execute", 0, 0, 2)
    assert "7.50" in written and "when this step was chosen" in written
    for slot in (1, 3):
        written.clear()
        panel.draw(0, "execute", 0, 0, slot)
        assert "7.50" not in written
    written.clear()
    panel.draw(0, "execute", 0, 0, 0)
    assert "before the first step" in written


def test_an_unknown_part_hides_the_truth_until_it_was_observed() -> None:
    """The same walk in two problems gives the same pictures until the walk shows where they differ."""
    env = make("cooking", 1)
    up, right, pick = 1, 2, 7
    actions = [right, pick, up, pick]  # drawer 2, then drawer 3
    recorded = [by_hand(env, problem, actions) for problem in (6, 6 + 16)]  # they differ in drawer 3
    movies = [Movie(one, env) for one in recorded]
    known = [movie.known(0)[0] for movie in movies]
    assert known[0] is not None and known[0].tolist() == [
        [False, False, False], [False, False, False], [False, True, False], [False, True, False], [False, True, True],
    ]  # fmt: skip
    [executed] = movies[0].known(0)[1:]
    assert executed is not None and executed.tolist() == [[False, True, True]]  # by the end of the exploration
    for slot in range(5):
        veiled, shown = (
            [
                movie.moment(0, "explore", 0, slot, known=part[slot] if hide else None)[40:]
                for movie, part in zip(movies, known, strict=True)
            ]  # type: ignore[index]
            for hide in (True, False)
        )
        assert np.array_equal(*veiled) == (slot < 4)
        assert not np.array_equal(*shown)


def test_execution_knows_what_exploration_showed(played: tuple[RecordedTrials, MetaEnv]) -> None:
    recorded, env = played
    given = dataclasses.replace(recorded, context="id")
    for one in (recorded, given):
        explored = [
            part
            for (phase, *_), part in zip(Movie(one, env).episodes(0), Movie(one, env).known(0), strict=True)
            if phase == "explore"
        ]
        executed = Movie(one, env).known(0)[len(explored) :]
        assert all(np.array_equal(part, np.logical_or.accumulate(part)) for part in explored)  # nothing is forgotten
        assert (executed[0][0] >= explored[-1][-1]).all() and (executed[1][0] >= executed[0][-1]).all()  # type: ignore[index]
        assert executed[0].all() == (one is given) or explored[-1][-1].all()  # type: ignore[union-attr, index]


def test_without_encoders_there_is_no_panel(played: tuple[RecordedTrials, MetaEnv]) -> None:
    recorded, env = played
    missing = dict.fromkeys(("prefixes", "z", "code", "codes", "candidates", "noise", "known"))
    plain = dataclasses.replace(
        recorded,
        explore=dataclasses.replace(recorded.explore, values=None),
        execute=dataclasses.replace(recorded.execute, values=None),
        optimal=None,
        **missing,  # type: ignore[arg-type]
    )
    assert Movie(plain, env).film(0)[0].shape == (428, 352, 3)
    assert z_picture(plain, [0]) is None


def test_pixels_are_drawn_on_a_map_with_the_way_so_far() -> None:
    torch.manual_seed(0)
    pair, env = build(TrainConfig(method="random", env="sign"), 2)
    recorded = record_trials(pair, env, np.array([0, 2]), 0)
    assert recorded.explore.scene["pose"].shape == (*recorded.explore.obs.shape[:2], 3)
    movie = Movie(recorded, env)
    length = int(recorded.explore.length[0])
    last = movie.moment(0, "explore", 0, length)
    frame = cv2.resize(recorded.explore.obs[0, length], (128, 96), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(last[64:160, 216:344], frame)  # what the agent sees, beside the map, without blur
    flat = dataclasses.replace(recorded.explore, scene={})
    without = Movie(dataclasses.replace(recorded, explore=flat), env).moment(0, "explore", 0, length)
    assert without.shape == last.shape and not np.array_equal(without, last)


def test_visits_are_counted_where_they_were(played: tuple[RecordedTrials, MetaEnv]) -> None:
    recorded, env = played
    counts = visits(recorded, env)
    assert counts is not None and counts.shape == (3, 3)
    seen = np.concatenate([np.ones((2, 1), bool), recorded.explore.mask], axis=1)
    expected = np.zeros((3, 3), int)
    for x, y in recorded.explore.obs[seen][:, :2].tolist():
        expected[2 - y, x] += 1  # y grows upwards
    assert np.array_equal(counts, expected)
    assert visit_picture(recorded, env) is not None
    unknown = dataclasses.replace(recorded, explore=dataclasses.replace(recorded.explore, position=None))
    assert visits(unknown, env) is None and visit_picture(unknown, env) is None


def test_visits_by_hand() -> None:
    nowhere, grid, room = [np.nan, np.nan], (-0.5, 2.5, -0.5, 1.5), (0.0, 1.0, 1.5, 0.0)  # the room's y grows downwards
    walked = np.array([[[0, 0], [0, 1], [2, 1]], [[2, 1], nowhere, nowhere]])
    assert count_visits(walked, grid).tolist() == [[1, 0, 2], [1, 0, 0]]
    assert count_visits(walked[1:] / 4, room).tolist() == [[0, 1], [0, 0], [0, 0]]
    outside = np.array([[[0.6, 1.4], [-9, 9], [9, -9]]])
    assert count_visits(outside, room).tolist() == [[0, 1], [0, 0], [1, 1]]


def test_the_axes_of_z_are_those_of_largest_variance() -> None:
    codes = np.array([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 0.1], [0, 0, -0.1]]) + 5
    centre, axes, share = principal_axes(codes)
    assert np.allclose(centre, 5) and np.allclose(axes, [[1, 0, 0], [0, 1, 0]])
    assert share == pytest.approx(20 / 20.02)


def test_the_picture_of_z_shows_where_g_ends(played: tuple[RecordedTrials, MetaEnv]) -> None:
    recorded, _ = played
    picture = z_picture(recorded, [0, 1])
    assert picture is not None and picture.ndim == 3
    assert recorded.prefixes is not None
    elsewhere = z_picture(dataclasses.replace(recorded, prefixes=recorded.prefixes + 1), [0, 1])
    assert elsewhere is not None and not np.array_equal(picture, elsewhere)


def test_a_family_without_parts_shows_the_likeliest_problems(
    played: tuple[RecordedTrials, MetaEnv], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, env = played
    named = Panel(recorded, env).draw(0, "explore", 0, 0, 2)
    plain = make("cooking", 1)
    monkeypatch.setattr(plain, "parts", tuple)
    assert not np.array_equal(Panel(recorded, plain).draw(0, "explore", 0, 0, 2), named)
