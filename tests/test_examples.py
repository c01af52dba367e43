"""The examples of docs/bring-your-own.md. Those that need a package of their own are skipped without it."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dream import cli
from dream.envs import MetaEnv
from dream.envs.check import check_family
from dream.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
NEEDS = {"minigrid_memory": "minigrid", "cartpole_lengths": "gymnasium", "franka_kitchen": "gymnasium_robotics"}
CLASSES = {"minigrid_memory": "Memory", "cartpole_lengths": "CartPoles", "franka_kitchen": "Kitchen"}


@pytest.fixture(autouse=True)
def _examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)


def example(name: str) -> ModuleType:
    pytest.importorskip(NEEDS[name])
    return importlib.import_module(name)


def family(name: str, num_envs: int, **arguments: Any) -> MetaEnv:
    made: MetaEnv = getattr(example(name), CLASSES[name])(num_envs, **arguments)
    return made


@pytest.mark.parametrize("name", NEEDS)
def test_an_example_is_one_short_file(name: str) -> None:
    assert (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").count("\n") < 60


def test_the_page_shows_the_first_example() -> None:
    page = (ROOT / "docs" / "bring-your-own.md").read_text(encoding="utf-8")
    assert (EXAMPLES / "minigrid_memory.py").read_text(encoding="utf-8") in page


@pytest.mark.parametrize("name", ["minigrid_memory", "franka_kitchen"])
def test_without_its_package_an_example_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, NEEDS[name], None)
    module = importlib.import_module(name)
    with pytest.raises(UserError, match=f"{name} needs: pip install"):
        getattr(module, CLASSES[name])(1)


@pytest.mark.filterwarnings("ignore:.* has few problems")
@pytest.mark.parametrize("name", NEEDS)
def test_an_example_passes_the_check_of_families(name: str) -> None:
    env = family(name, 4)
    check_family(env)
    env.close()


def test_worker_processes_step_an_example_as_the_loop_does() -> None:
    envs = [family("cartpole_lengths", 3, workers=workers) for workers in (0, 2)]
    seen = []
    for env in envs:
        obs, _ = env.reset(seed=1, options={"problem_id": np.array([0, 20, 47])})
        seen.append(np.array([obs, *(env.step(np.array([0, 1, 2]))[0] for _ in range(5))]))
        env.close()
    assert (seen[0] == seen[1]).all() and seen[0].std() > 0


# -- cart poles ------------------------------------------------------------------------------------------------------


def balanced(env: MetaEnv, ids: np.ndarray, wiring: np.ndarray) -> np.ndarray:
    """Return of pushing towards the side the pole falls to, with the buttons of `wiring` (B, 3), (B,)."""
    obs, _ = env.reset(seed=0, options={"problem_id": ids, "phase": "execute"})
    total = np.zeros(len(ids))
    while env.active.any():
        right = (obs @ np.array([0.1, 0.2, 1.0, 0.5]) > 0).astype(int)
        obs, reward, *_ = env.step(wiring[np.arange(len(ids)), right])
        total += reward
    return total


def test_who_knows_the_buttons_balances_every_pole() -> None:
    env = family("cartpole_lengths", 48)
    buttons = example("cartpole_lengths").BUTTONS
    ids = np.arange(48)
    assert balanced(env, ids, buttons[ids // 8]) == pytest.approx(np.full(48, 5.0))
    swapped = balanced(env, ids, buttons[ids // 8][:, [1, 0, 2]])
    stopped = balanced(env, ids, buttons[ids // 8][:, [2, 2, 2]])
    assert swapped.min() > 0 and swapped.max() < 3 and not stopped.any()


def test_one_button_alone_holds_a_pole_for_at_most_16_steps() -> None:
    """From this follows the bound of the page: the stop is the first button or the second one, or neither."""
    env = family("cartpole_lengths", 480)
    buttons, ids = example("cartpole_lengths").BUTTONS, np.arange(480) % 48
    longest = max(balanced(env, ids, buttons[ids // 8][:, [push] * 3]).max() for push in (0, 1))
    assert longest == pytest.approx(1.6)
    bound = (0 + 5 + longest) / 3
    page = (ROOT / "docs" / "bring-your-own.md").read_text(encoding="utf-8")
    assert f"no executor earns more than {bound:.1f} on average" in page and "at most 16 steps" in page


def test_the_stop_button_ends_executions_and_not_explorations() -> None:
    env = family("cartpole_lengths", 3)
    ids, stop = np.array([0, 17, 40]), example("cartpole_lengths").BUTTONS[[0, 2, 5], 2]
    start, _ = env.reset(seed=0, options={"problem_id": ids, "phase": "explore"})
    obs, _, terminated, *_ = env.step(stop)
    assert not terminated.any() and (obs == start).all()
    assert (env.step((stop + 1) % 3)[0] != obs).any(axis=1).all()
    env.reset(seed=0, options={"problem_id": ids, "phase": "execute"})
    assert env.step(stop)[2].all()


def test_poles_of_other_lengths_fall_at_other_speeds() -> None:
    env = family("cartpole_lengths", 8)
    env.reset(seed=0, options={"problem_id": np.arange(8), "phase": "explore"})
    for _ in range(3):
        obs, *_ = env.step(np.zeros(8, np.int64))
    assert (np.diff(np.abs(obs[:, 3])) < -0.01).all()  # pushed three times, a longer pole turns more slowly
    carts = [machine.unwrapped for machine in env.envs]  # type: ignore[attr-defined]
    assert all(cart.polemass_length == cart.masspole * cart.length for cart in carts)


def test_cart_poles_train_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "dream", "--env", "cartpole_lengths:CartPoles", "--preset", "debug", "--steps", "1500"]
    assert cli.run([*words, "--run-dir", "run"]) == 0
    assert cli.run(["eval", "run", "--trials", "12"]) == 0
    assert "return" in capsys.readouterr().out


# -- MiniGrid --------------------------------------------------------------------------------------------------------


def home_of(env: MetaEnv) -> list[str | None]:
    """What stands in the start room, by member."""
    cells = [e.unwrapped.grid.get(1, 3) for e in env.envs]  # type: ignore[attr-defined]
    return [cell.type if cell else None for cell in cells]


def test_the_object_is_shown_to_the_explorer_only() -> None:
    env = family("minigrid_memory", 8)
    ids = np.arange(8) % 2
    obs, _ = env.reset(seed=0, options={"problem_id": ids, "phase": "explore"})
    assert home_of(env) == ["key", "ball"] * 4 and obs.shape == (8, 7, 7, 3) and obs in env.observation_space
    for action in (0, 0, 2, 2, 2, 2, 2):  # turn around and walk home
        obs, *_ = env.step(np.full(8, action))
    # the agent stands at (1, 4) or short of it, with its back to the hallway: 5 is the code of a key, 6 of a ball
    codes = [set(view[..., 0].ravel().tolist()) & {5, 6} for view in obs]
    assert codes == [{5}, {6}] * 4
    obs, _ = env.reset(seed=0, options={"problem_id": ids, "phase": "execute"})
    assert home_of(env) == [None] * 8
    for action in (0, 0, 2, 2, 2, 2, 2):
        obs, *_ = env.step(np.full(8, action))
    assert not np.isin(obs[..., 0], (5, 6)).any()


def test_the_end_with_the_same_object_is_the_right_one() -> None:
    env = family("minigrid_memory", 16)
    ids = np.arange(16) % 2
    env.reset(seed=3, options={"problem_id": ids, "phase": "execute"})
    above = np.array([e.unwrapped.grid.get(7, 2).type for e in env.envs])  # type: ignore[attr-defined]
    starts = np.array([e.unwrapped.agent_pos[0] for e in env.envs])  # type: ignore[attr-defined]
    assert set(above) == {"key", "ball"} and len(set(starts)) > 2
    total = np.zeros(16)
    for step in range(10):  # forward to the crossing at x = 7, then left, which is up, and forward
        actions = np.where(starts + step < 7, 2, np.where(starts + step == 7, 0, 2))
        total += env.step(actions)[1]
    assert (total == (above == np.array(["key", "ball"])[ids])).all() and not env.active.any()
    assert env.render_members([0])[0].std() > 5


# -- Franka kitchen --------------------------------------------------------------------------------------------------


def test_the_kitchen_shows_its_goals_to_the_explorer_only() -> None:
    env = family("franka_kitchen", 2)
    assert env.single_action_space.shape == (9,)
    for phase, shown in (("explore", 2), ("execute", 0)):
        obs, _ = env.reset(seed=0, options={"problem_id": np.array([0, 20]), "phase": phase})
        goals = {name: obs[name] for name in obs if name.startswith("desired_goal.")}
        assert len(goals) == 7 and obs["observation"].shape == (2, 59)
        assert [sum(goal[member].any() for goal in goals.values()) for member in (0, 1)] == [shown, shown]
        obs, *_ = env.step(np.zeros((2, 9), np.float32))
        assert obs in env.observation_space
    env.close()


# -- trained, in minutes ---------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(("name", "least"), [("minigrid_memory", 0.9), ("cartpole_lengths", 3.0)])
def test_an_example_is_learned(name: str, least: float, capsys: pytest.CaptureFixture[str]) -> None:
    example(name)
    assert cli.run(["train", "dream", "--env", f"{name}:{CLASSES[name]}", "--run-dir", "run"]) == 0
    assert cli.run(["eval", "run", "--csv", "rows.csv"]) == 0
    capsys.readouterr()
    rows = [line.split(",") for line in Path("rows.csv").read_text(encoding="utf-8").splitlines()]
    metric = "normalised" if name == "minigrid_memory" else "return"
    assert float(next(row[-1] for row in rows if metric in row and "test" in row)) >= least
