"""Families from elsewhere: the examples of the documentation, and gymnasium envs behind the adapter."""

import gc
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dream import cli
from dream.envs import GymnasiumAdapter, MetaEnv, families, make, registry, split_problems
from dream.errors import UserError

ROOT = Path(__file__).parents[1]
PAGE, TEMPLATE = ROOT / "docs" / "add-a-problem-family.md", ROOT / "examples" / "my_family.py"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the Python blocks of the page define, run in order."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 3
    assert blocks[0] == TEMPLATE.read_text(encoding="utf-8") and blocks[0].count("\n") < 80
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def test_the_family_of_the_page_works(page: dict[str, Any]) -> None:
    envs = page["Doors"](3, doors=4)
    ids = np.array([6, 7, 0])  # gold behind doors 2, 2, 0; silver behind 0, 1, 1; all begin at door 2
    assert envs.hidden[ids].tolist() == [[2, 0], [2, 1], [0, 1]]
    obs, _ = envs.reset(options={"problem_id": ids, "phase": "explore"})
    obs, reward, terminated, *_ = envs.step(np.full(3, 2))
    assert obs.tolist() == [[2, 1], [2, 1], [2, 0]]
    assert not reward.any() and not terminated.any()
    envs.reset(options={"problem_id": ids, "instruction": np.array([[0], [1], [1]])})
    obs, reward, terminated, *_ = envs.step(np.full(3, 2))
    assert reward.tolist() == [1, -1, -1] and terminated.all()
    assert envs.render_members([0])[0].std() > 5
    sizes = [len(page["Doors"](1).problems.ids(split)) for split in ("train", "validation", "test")]
    assert sizes == [45, 9, 18]


def test_the_bounds_of_the_family_of_the_page_are_those_of_all_ways_to_play(page: dict[str, Any]) -> None:
    """With 3 doors: no door is right with more than an even chance over all problems; in a split one may be."""
    envs = page["Doors"](6, doors=3)
    assert envs.no_exploration_return() == 0
    envs.problems.splits["test"] = np.array([0, 1, 2])  # gold behind 0, 0, 1; silver behind 1, 2, 0
    assert envs.no_exploration_return("test") == pytest.approx((1 / 3 + 0) / 2)
    for instruction in (0, 1):
        goal = np.full((6, 1), instruction)
        envs.reset(options={"problem_id": np.arange(6), "instruction": goal})
        best = np.zeros(6)
        for _ in range(3):
            way = np.sign(envs.hidden[:, instruction] - envs.x)
            _, reward, *_ = envs.step(np.array([2, 1, 0])[way])
            best += reward
        assert (best == envs.optimal_return(np.arange(6), goal)).all()


def test_the_commands_of_the_page_train_evaluate_and_show_the_family(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the preset `debug`, in an empty folder that holds the template."""
    shutil.copy(TEMPLATE, "my_family.py")
    (commands,) = re.findall(
        r"```bash\n(dream train dream --env my_family:Doors --run.*?)```", PAGE.read_text(), re.DOTALL
    )
    for command in commands.splitlines():
        words = shlex.split(command)[1:]
        fewer = {"train": ["--preset", "debug"], "eval": ["--trials", "60"], "report": ["--trials", "2"]}
        assert cli.run([*words, *fewer.get(words[0], [])]) == 0, command
    printed = capsys.readouterr()
    assert "normalised" in printed.out and "warning" not in printed.err
    run = Path("runs/doors/dream/s0")
    assert (run / "report.html").is_file() and list((run / "videos").iterdir())


def test_a_family_can_be_named_by_module_and_class(page: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "Doors", page["Doors"], raising=False)
    assert make("dream.envs.registry:Doors", 2, doors=5).problems.num_problems == 20
    with pytest.raises(UserError, match=r"cannot load 'no\.such:Thing'"):
        make("no.such:Thing", 2)
    with pytest.raises(ValueError, match="is not a family"):
        make("dream.envs.base:ProblemSet", 2)


def test_an_unfinished_family_is_refused() -> None:
    class Half(MetaEnv):
        def _begin(self) -> np.ndarray:
            return np.zeros((1, 1), np.int16)

    with pytest.raises(TypeError, match=r"abstract methods? '?_advance"):
        Half(1)  # type: ignore[abstract, call-arg]


def test_frozen_lake_through_the_adapter(page: dict[str, Any]) -> None:
    envs: MetaEnv = page["Lakes"](4)
    ids = np.array([3, 3, 11, 50])
    obs, info = envs.reset(seed=1, options={"problem_id": ids})
    assert obs.tolist() == [[0]] * 4 and obs in envs.observation_space and info["problem_id"].tolist() == ids.tolist()
    lakes = [env.unwrapped.desc.tobytes() for env in envs.envs]  # type: ignore[attr-defined]
    assert lakes[0] == lakes[1] != lakes[2]
    ended = np.zeros(4, bool)
    rng = np.random.default_rng(0)
    for _ in range(20):
        before = obs
        obs, reward, terminated, truncated, info = envs.step(rng.integers(4, size=4))
        assert (info["active"] == ~ended).all()
        assert (obs[ended] == before[ended]).all() and not reward[ended].any()
        for member in np.flatnonzero(terminated & ~ended):
            row, column = divmod(int(obs[member, 0]), 4)
            tile = envs.envs[member].unwrapped.desc[row, column]  # type: ignore[attr-defined]
            assert tile == (b"G" if reward[member] == 1 else b"H")
        ended |= terminated | truncated
    assert ended.all()
    assert envs.render_members([1])[0].shape == (400, 352, 3)
    envs.close()


class Recorder(gym.Env[Any, Any]):
    """Remembers reset and actions; spaces as asked for; action 3 ends, and so does its own time limit."""

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any], limit: int = 99) -> None:
        self.observation_space, self.action_space, self.limit = observation_space, action_space, limit
        self.seen: list[Any] = []
        self.render_mode = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seen = [(seed, options)]
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.seen.append(action)
        return self.observation_space.sample(), 2.0, action == 3, len(self.seen) > self.limit, {}


def adapted(observation_space: gym.Space[Any], action_space: gym.Space[Any], limit: int = 99, **more: Any) -> MetaEnv:
    return GymnasiumAdapter(
        lambda: Recorder(observation_space, action_space, limit), 2, problems=split_problems("x", 8), horizon=5, **more
    )


@pytest.mark.parametrize(
    ("space", "shape", "dtype"),
    [
        (gym.spaces.Discrete(7, start=-3), (2, 1), np.int16),
        (gym.spaces.MultiDiscrete([3, 9]), (2, 2), np.int16),
        (gym.spaces.MultiDiscrete([3, 9], start=[5, -5]), (2, 2), np.int16),
        (gym.spaces.Box(0, 255, (6, 8, 3), np.uint8), (2, 6, 8, 3), np.uint8),
    ],
)
def test_observations_are_adapted(space: gym.Space[Any], shape: tuple[int, ...], dtype: type) -> None:
    envs = adapted(space, gym.spaces.Discrete(3, start=1))
    obs, _ = envs.reset(seed=2)
    assert obs.shape == shape and obs.dtype == dtype and obs in envs.observation_space
    obs, reward, *_ = envs.step(np.array([0, 2]))
    assert obs in envs.observation_space and reward.tolist() == [2, 2]
    assert [env.seen[1] for env in envs.envs] == [1, 3]  # type: ignore[attr-defined]
    picture = envs.render_members([0])[0]
    assert picture.shape == (400, 352, 3) and picture.std() > 5


def test_reset_passes_on_problem_phase_and_instruction() -> None:
    envs = adapted(gym.spaces.Discrete(4), gym.spaces.Discrete(2), instruction_space=gym.spaces.MultiDiscrete([5, 2]))
    _, info = envs.reset(seed=3, options={"problem_id": np.array([6, 1])})
    for env, problem_id, instruction in zip(envs.envs, (6, 1), info["instruction"], strict=True):  # type: ignore[attr-defined]
        options = env.seen[0][1]
        assert options["problem_id"] == problem_id and options["phase"] == "execute"
        assert options["instruction"].tolist() == instruction.tolist()
    seeds = [env.seen[0][0] for env in envs.envs]  # type: ignore[attr-defined]
    envs.reset(seed=3, options={"problem_id": np.array([6, 1])})
    assert seeds == [env.seen[0][0] for env in envs.envs] and seeds[0] != seeds[1]  # type: ignore[attr-defined]
    envs.reset(options={"phase": "explore"})
    assert not envs.step(np.array([0, 1]))[1].any()


def test_finished_envs_are_left_alone() -> None:
    envs = adapted(gym.spaces.Discrete(4), gym.spaces.Discrete(5), action_names=tuple("abcde"), end_action=4)
    envs.reset(seed=0)
    ends = [envs.step(np.array(actions))[2:4] for actions in ((0, 3), (1, 0), (4, 2), (0, 0))]
    assert [terminated.tolist() for terminated, _ in ends] == [[False, True], [False] * 2, [True, False], [False] * 2]
    assert not any(truncated.any() for _, truncated in ends)
    assert [env.seen[1:] for env in envs.envs] == [[0, 1, 4], [3]]  # type: ignore[attr-defined]


def test_environments_that_cannot_be_adapted_are_refused() -> None:
    two = gym.spaces.Discrete(2)
    with pytest.raises(ValueError, match=r"action space .* cannot be adapted"):
        adapted(two, gym.spaces.Box(0, np.inf))
    for space in (gym.spaces.Text(3), gym.spaces.Discrete(40_000), gym.spaces.Dict({"word": gym.spaces.Text(3)})):
        with pytest.raises(ValueError, match=r"observation space .* cannot be adapted"):
            adapted(space, two)
    with pytest.raises(ValueError, match="3 action names for 2 actions"):
        adapted(two, two, action_names=("a", "b", "c"))
    with pytest.raises(ValueError, match="1 action names for 2 components of an action"):
        adapted(two, gym.spaces.Box(-1, 1, (2,)), action_names=("a",))
    with pytest.raises(ValueError, match="workers is -1: give 0"):
        adapted(two, two, workers=-1)
    with pytest.raises(ValueError, match="num_envs is 0"):
        GymnasiumAdapter(lambda: Recorder(two, two), 0, problems=split_problems("x", 8), horizon=5)


def test_a_shorter_time_limit_is_refused() -> None:
    envs = adapted(gym.spaces.Discrete(4), gym.spaces.Discrete(2), limit=3)
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(np.zeros(2, int))
    with pytest.raises(UserError, match="x has a time limit of its own that ended an episode at step 3, before the"):
        envs.step(np.zeros(2, int))
    envs = adapted(gym.spaces.Discrete(4), gym.spaces.Discrete(2), limit=5)
    envs.reset(seed=0)
    for _ in range(5):
        *_, terminated, truncated, _ = envs.step(np.zeros(2, int))
    assert truncated.all() and not terminated.any()


class Drift(gym.Env[Any, Any]):
    """Moves by the action and by chance; the problem is the episode's length; faults by name, in problem 3, at step 2.

    Observations are float64, though one part declares float32. Pictures show the problem.
    """

    observation_space = gym.spaces.Dict(
        {
            "at": gym.spaces.Box(-np.inf, np.inf, (2,), np.float64),
            "eye": gym.spaces.Box(-9, 9, (1,), np.float32),
            "codes": gym.spaces.Box(0, 255, (5, 5, 1), np.uint8),
        }
    )
    action_space = gym.spaces.Box(-1, 1, (2,), np.float64)
    render_mode = "rgb_array"

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        assert options is not None
        self.problem, self.steps, self.at = options["problem_id"], 0, self.np_random.normal(size=2)
        return self.observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.steps <= self.problem + 1 and action in self.action_space  # nobody steps it after its end
        self.steps += 1
        self.at = self.at + action + self.np_random.normal(size=2)
        faulty = self.fault if self.steps == 2 and self.problem == 3 else ""
        if faulty == "bug":
            raise ZeroDivisionError("a bug of the env")
        reward = np.nan if faulty == "reward" else float(self.at[0])
        self.at = {"nan": self.at * np.nan, "huge": self.at * 1e200}.get(faulty, self.at)
        return self.observation(faulty), reward, self.steps > self.problem, faulty == "limit", {}

    def observation(self, faulty: str = "") -> dict[str, Any]:
        codes = np.full((5, 5, 1), 12 if faulty == "code" else self.problem, np.uint8)
        eye = np.full(1, 10.0) if faulty == "outside" else self.at[:1].clip(-9, 9)
        return {"at": self.at, "eye": eye, "codes": codes}

    def render(self) -> Any:
        return np.full((4, 4, 3), self.problem, np.uint8)


def drifting(workers: int, fault: str = "", members: int = 5) -> MetaEnv:
    return GymnasiumAdapter(
        lambda: Drift(fault),
        members,
        problems=split_problems("drift", 12),
        horizon=6,
        codes={"codes": (12,)},
        workers=workers,
        instruction_space=gym.spaces.MultiDiscrete([5, 2]),
    )


def everything(envs: MetaEnv) -> list[Any]:
    """All that three episodes return, one of them begun by some members only, and pictures."""
    rng = np.random.default_rng(0)
    seen: list[Any] = []
    ids = np.array([1, 3, 0, 8, 2])
    starts = np.array([True, False, True, False, True])
    for options in ({"problem_id": ids, "phase": "explore"}, {"problem_id": ids + 3}, {"reset_mask": starts}):
        seen.append(envs.reset(seed=7 if "phase" in options else None, options=options))
        seen += [envs.step(rng.uniform(-1, 1, (5, 2))) for _ in range(4)]
    return [*seen, envs.render_members(), envs.render_members([4, 1])]


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return flat([list(value), *value.values()])
    return [leaf for part in value for leaf in flat(part)] if isinstance(value, list | tuple) else [value]


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
def test_worker_processes_give_what_the_loop_gives(workers: int) -> None:
    loop, processes = drifting(0), drifting(workers)
    one, other = flat(everything(loop)), flat(everything(processes))
    assert len(one) == len(other) > 100
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None)
    assert loop.reads_problem and processes.reads_problem  # type: ignore[attr-defined]
    for envs in (loop, processes):
        envs.reset(seed=1, options={"problem_id": np.full(5, 9)})
        envs.step(np.ones((5, 2)))
        kept = envs.last_obs, envs.last_reward
        before = flat([kept[0]["at"].copy(), kept[1].copy()])
        envs.step(np.ones((5, 2)))
        assert (kept[0]["at"] == before[0]).all() and (kept[1] == before[1]).all()
    alive = multiprocessing.active_children()
    assert len(alive) == {1: 1, 2: 2, 3: 3, 9: 5}[workers]
    processes.close()
    assert not multiprocessing.active_children()


def test_workers_outlive_the_signals_that_stop_a_training() -> None:
    """`timeout` and clusters send them to all processes; the training then finishes its round."""
    envs = drifting(2)
    envs.reset(seed=0, options={"problem_id": np.arange(5)})
    for process in multiprocessing.active_children():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            os.kill(process.pid or 0, number)
    envs.step(np.zeros((5, 2)))
    del envs  # not closed
    gc.collect()
    assert not multiprocessing.active_children()


def test_workers_that_are_not_closed_end_with_the_program() -> None:
    # Finalizers that exist before multiprocessing is imported run after its own at exit
    program = (
        "import tempfile\nkept = tempfile.TemporaryDirectory()\n"
        "from tests.test_envs_adapter import drifting\nenvs = drifting(2)\nenvs.reset(seed=0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("reward", r"drift gave the reward nan in problem 3 at step 2: rewards must be finite"),
        ("nan", r"drift gave the observation .*nan.* in problem 3 at step 2, which is not in its observation space"),
        ("huge", r"drift \(at\) gave the observation \[.*inf.*\] in problem 3 at step 2, which is not in its"),
        ("outside", r"drift gave the observation .* in problem 3 at step 2, which is not in its observation space"),
        ("code", r"drift \(codes\) gave the observation .*12.* in problem 3 at step 2, which is not in its"),
        ("limit", r"drift has a time limit of its own that ended an episode at step 2, before the horizon of 6"),
    ],
)
def test_faults_are_named_in_workers_too(
    fault: str, message: str, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    envs = drifting(workers, fault)
    obs, _ = envs.reset(seed=0, options={"problem_id": np.array([8, 9, 10, 11, 3])})
    assert obs["eye"].dtype == obs["at"].dtype == np.float32
    envs.step(np.zeros((5, 2)))
    with pytest.raises(UserError, match=message):
        envs.step(np.zeros((5, 2)))
    envs.close()
    assert "Traceback" not in capfd.readouterr().err


def test_a_bug_of_an_env_in_a_worker_is_raised(capfd: pytest.CaptureFixture[str]) -> None:
    envs = drifting(2, "bug")
    envs.reset(seed=0, options={"problem_id": np.array([8, 9, 10, 11, 3])})
    envs.step(np.zeros((5, 2)))
    with pytest.raises(ZeroDivisionError, match="a bug of the env"), pytest.warns(UserWarning):
        envs.step(np.zeros((5, 2)))


def test_split_problems_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="4 problems are too few to hold out 2 for test and 2 for validation"):
        split_problems("x", 4, test=0.5, validation=0.5)
    with pytest.raises(ValueError, match="factor_table has shape"):
        split_problems("x", 8, factor_table=np.zeros((3, 1), int))
    assert sorted(families()) == [
        "beacon", "bus", "cooking", "dark-rooms", "fixed-arm", "kitchen", "map", "point-goals", "sign", "sign-ball",
        "sign-worlds", "signpost",
    ]  # fmt: skip
