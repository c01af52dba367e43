"""Swap matrix: own pairs are what an evaluation finds, the expert is optimal, and every cell plays the same trials."""

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.cut_explorations import cut
from dream.config import PRESETS, default_config, override
from dream.core.rollout import rollout
from dream.core.trial import Episodes, Trials
from dream.envs import make
from dream.envs.signpost.family import PRESS_A
from dream.eval.evaluate import run_trials, spread_over_problems
from dream.eval.explain.bounds import bound_executors, bound_explorers
from dream.eval.explain.explorations import record_explorations
from dream.eval.explain.swap import SwapMatrix, execute_on, swap_returns
from dream.methods.build import build
from dream.methods.pair import DecoupledPair

PRESS_B = PRESS_A + 1


class ReadsTheSign:
    """On signpost: presses the button that the exploration showed, A where it showed nothing."""

    def __init__(self) -> None:
        self.received: list[np.ndarray] = []

    def execute(
        self, env: Any, problem_id: np.ndarray, explore: Episodes, generator: torch.Generator | None = None
    ) -> Trials:
        instruction = env.sample_instruction(problem_id, env.np_random)
        self.received.append(instruction)
        shown = (explore.obs[..., 1] == 2) & explore.observed
        button = torch.where(shown.any(1), PRESS_B, PRESS_A)
        execute = rollout(env, lambda now, memory: (button, None), problem_id, phase="execute", instruction=instruction)
        return Trials(torch.from_numpy(problem_id), explore, execute, torch.zeros(len(problem_id), dtype=torch.bool))


def untrained(method: str, family: str, members: int, seed: int = 0, **changes: Any) -> tuple[DecoupledPair, Any]:
    torch.manual_seed(seed)
    return build(override(default_config(method, family), {**PRESETS["debug"], **changes}), members)


def test_signpost_by_hand() -> None:
    """Reading the sign earns 1; without it, A is right in half of the problems; the expert needs no exploration."""
    env = make("signpost", 8)
    executors = {"reads": ReadsTheSign(), **bound_executors(env)}
    found = swap_returns(bound_explorers(env), executors, env, trials=20)
    assert list(bound_explorers(env)) == ["random", "none", "scripted"] and list(executors) == ["reads", "expert"]
    assert found.shape == (3, 2, 20)
    matrix = SwapMatrix.from_returns(["random", "none", "scripted"], list(executors), found)
    assert matrix.mean[1:].tolist() == [[0, 1], [1, 1]]
    assert -0.5 < matrix.mean[0, 0] <= 1  # random reads it now and then
    # 10 times 1 and 10 times -1: a standard deviation of sqrt(20 / 19), over the root of 20
    assert matrix.standard_error[1, 0] == pytest.approx(np.sqrt(1 / 19))
    assert matrix.standard_error[2].tolist() == [0, 0]


@pytest.mark.parametrize(("family", "episodes"), [("bus", 1), ("map", 1), ("cooking", 1), ("cooking", 2)])
def test_the_expert_earns_the_optimum_after_any_exploration(family: str, episodes: int) -> None:
    env = make(family, 16)
    executors = bound_executors(env, episodes)
    found = swap_returns(bound_explorers(env), executors, env, trials=40, seed=3, execute_episodes=episodes)
    problem_id = spread_over_problems(env, "test", 40, 3)
    env.reset(seed=3)
    optimal = []
    for first in range(0, 40, 16):
        batch = np.resize(problem_id[first : first + 16], 16)
        each = [env.optimal_return(batch, env.sample_instruction(batch, env.np_random)) for _ in range(episodes)]
        optimal.append(np.mean(each, axis=0)[: len(problem_id[first : first + 16])])
    for returns in found[:, 0]:
        assert returns == pytest.approx(np.concatenate(optimal), abs=1e-6)


@pytest.mark.parametrize("family", ["bus", "signpost"])
@pytest.mark.parametrize("episodes", [1, 2])
def test_own_pairs_score_as_in_an_evaluation(family: str, episodes: int) -> None:
    """Trial by trial, over several batches of which the last is not full, and with several episodes."""
    trial = {"trial.explore_episodes": episodes, "trial.execute_episodes": episodes}
    one, env = untrained("dream", family, 16, **trial)
    other, _ = untrained("count", family, 16, seed=1, **trial)
    both = {"one": one, "other": other}
    found = swap_returns(both, both, env, trials=40, seed=5, execute_episodes=episodes)
    for number, method in enumerate((one, other)):
        expected = run_trials(method.play, env, spread_over_problems(env, "test", 40, 5), 5)
        assert found[number, number].tolist() == expected.returns.tolist()
    assert family == "bus" or found.std() > 0  # untrained pairs wait on bus


def test_a_random_explorer_does_what_it_does_in_an_evaluation_of_one_batch() -> None:
    pair, env = untrained("random", "bus", 24)
    executors = {"random": pair, **bound_executors(env)}
    found = swap_returns({"random": pair, "bound": bound_explorers(env)["random"]}, executors, env, trials=24, seed=2)
    expected = run_trials(pair.play, env, spread_over_problems(env, "test", 24, 2), 2)
    assert found[0, 0].tolist() == expected.returns.tolist() == found[1, 0].tolist()


def test_frames_start_in_the_same_place_in_every_cell() -> None:
    """Sign starts anywhere: an executor that looks only at its first frame does the same after every explorer."""
    env = make("sign", 6)

    class SeesTheFirstFrame:
        seen: list[torch.Tensor] = []

        def execute(self, env: Any, problem_id: np.ndarray, explore: Episodes, generator: Any = None) -> Trials:
            def policy(now: Any, memory: None) -> tuple[torch.Tensor, None]:
                if bool(now.start.all()):
                    self.seen.append(now.obs.clone())
                return torch.full((len(now.obs),), 3), None

            instruction = env.sample_instruction(problem_id, env.np_random)
            execute = rollout(env, policy, problem_id, phase="execute", instruction=instruction)
            return Trials(torch.from_numpy(problem_id), explore, execute, torch.zeros(6, dtype=torch.bool))

    explorers = {name: explorer for name, explorer in bound_explorers(env).items() if name != "scripted"}
    executor = SeesTheFirstFrame()
    swap_returns(explorers, {"looks": executor}, env, trials=12)
    first, second = executor.seen[:2], executor.seen[2:]
    assert len(first) == len(second) == 2
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)) and not torch.equal(*first)


def test_g_reads_a_cut_exploration() -> None:
    """On signpost: without the step that reads the sign the executor guesses, with all steps it knows the problem."""
    env = make("signpost", 8)
    scripted = bound_explorers(env)["scripted"]
    recording = record_explorations(scripted, env, spread_over_problems(env, "test", 20, 0), 0)
    steps = recording.episodes.mask.shape[1]
    returns = [execute_on(cut(recording, t), ReadsTheSign(), env).mean() for t in (0, steps)]
    assert returns == [0, 1]
    assert cut(recording, 1).episodes.length.tolist() == [1] * 20
    assert recording.episodes.length.min() > 1, "the recording itself stays whole"
