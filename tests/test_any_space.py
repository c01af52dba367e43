"""Tools with every kind of observation and action, and with policies that learn by q and by ppo."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dream.config import TrainConfig, override
from dream.core.actions import Actions
from dream.core.networks import update_average
from dream.envs import MetaEnv
from dream.envs.check import check_family
from dream.envs.consistency import why_not_exact
from dream.errors import UserError
from dream.eval.diagnostics import Diagnosis
from dream.eval.explain.behaviour import behaviour
from dream.eval.explain.bounds import RandomExplorer
from dream.eval.explain.explorations import record_explorations
from dream.eval.explain.probe import exact_posterior
from dream.eval.posterior_sampling import posterior_sampling_return
from dream.eval.record.beliefs import part_beliefs
from dream.eval.record.recorded import RecordedStreams, RecordedTrials, load_trials, save_trials
from dream.eval.record.recorder import record_trials
from dream.eval.report.moments import player_data
from dream.eval.show.choices import Choices
from dream.eval.show.movie import Movie
from dream.eval.show.watching import trial_facts
from dream.methods.build import build
from dream.spaces import was_taken
from tests.toy_spaces import ACTS, OBSERVES, PROBLEMS, Lamps

BOTH = {"explorer.learner": "ppo", "executor.learner": "ppo"}
CASES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "parts, q": ("dream", "parts", "discrete", {}),
    "parts, ppo": ("dream", "parts", "discrete", BOTH),
    "numbers and Box, ppo": ("dream", "numbers", "box", BOTH),
    "several, ppo": ("dream", "codes", "several", BOTH),
    "end-to-end, Box, ppo": ("rl2", "numbers", "box", {"end_to_end.learner": "ppo"}),
    "end-to-end, parts, ppo": ("rl2", "parts", "discrete", {"end_to_end.learner": "ppo"}),
}


def built(case: str) -> tuple[Any, MetaEnv]:
    method, observes, acts, changes = CASES[case]
    parameters = {"observes": observes, "acts": acts}
    small = {"trial.explore_episodes": 2, "network.width": 16, "network.memory_size": 8, "bottleneck.z_dim": 4}
    torch.manual_seed(0)
    config = TrainConfig(method=method, env="tests.toy_spaces:Lamps", env_parameters=parameters)
    return build(override(config, {**small, **changes}), 3)


def recorded_of(case: str) -> tuple[RecordedTrials, MetaEnv]:
    method, env = built(case)
    return record_trials(method, env, np.array([3, 8, 0]), 0, step=10), env


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


@pytest.mark.parametrize("case", CASES)
def test_recorded_saved_loaded_drawn_and_described(case: str, tmp_path: Path) -> None:
    recorded, env = recorded_of(case)
    save_trials(recorded, tmp_path / "a.npz")
    again = load_trials(tmp_path / "a.npz")
    for item in dataclasses.fields(recorded):
        before, after = getattr(recorded, item.name), getattr(again, item.name)
        if isinstance(before, RecordedStreams):
            assert all(same(getattr(before, f.name), getattr(after, f.name)) for f in dataclasses.fields(before))
        else:
            assert same(before, after), item.name
    film = Movie(again, env).film(1)
    assert len(film) == again.explore.length[1] + 1 + again.execute.length[1] + 1
    assert {frame.shape for frame in film} == {(428, 352 if case.startswith("end") else 688, 3)}
    assert Movie(again, env).sheet([0]).shape[2] == 3
    story = trial_facts(again, env)[1]
    assert story["explore_steps"] == again.explore.length[1] - 1 and "return" in story["words"]
    data = json.loads(json.dumps(player_data(again, env, [0, 1], ["a", "b"], "x"), allow_nan=False))
    first = data["trials"][0]["episodes"][0]
    assert len(first["action"]) == len(first["pictures"]) - 1 and all(isinstance(name, str) for name in first["action"])


@pytest.mark.parametrize("case", ["parts, q", "parts, ppo", "numbers and Box, ppo", "several, ppo"])
def test_what_the_policy_thought_is_what_it_did(case: str) -> None:
    recorded, _ = recorded_of(case)
    kinds = {"parts, q": "values", "parts, ppo": "probabilities", "several, ppo": "probabilities"}
    for phase, streams in (("explore", recorded.explore), ("execute", recorded.execute)):
        kind = kinds.get(case, "gaussian")
        assert recorded.values_kind[phase] == kind and streams.values is not None
        assert (streams.state_value is None) == (kind == "values")
        did, thought = streams.action[streams.transition], streams.values[:, :-1][streams.transition]
        if kind == "gaussian":
            np.testing.assert_allclose(thought[:, :2], did, atol=1e-5)  # in the units of the environment
            assert (thought[:, 2:] > 0).all()
        elif case == "several, ppo":
            np.testing.assert_allclose(thought.sum(1), 2.0, rtol=1e-5)
            best = np.stack([part.argmax(1) for part in np.split(thought, [2], axis=1)], 1)
            assert (best == did).all()
        else:
            assert kind == "values" or np.allclose(thought.sum(1), 1.0, rtol=1e-5)
            assert (thought.argmax(1) == did).all()


def test_state_values_are_in_units_of_the_return() -> None:
    method, env = built("numbers and Box, ppo")
    before = record_trials(method, env, np.array([3, 8, 0]), 0).execute.state_value
    method.networks.executor_returns.observe(torch.full((4, 4), -7.0), torch.ones(4, 4))
    update_average(method.averaged, method.networks, 0.1)
    after = record_trials(method, env, np.array([3, 8, 0]), 0).execute.state_value
    assert before is not None and after is not None
    np.testing.assert_allclose(after[:, 0], before[:, 0] * 0.01 - 7.0, atol=1e-3)  # the smallest deviation is 0.01


@pytest.mark.parametrize("acts", ACTS)
def test_recorded_actions_name_no_action_between_episodes(acts: str) -> None:
    env = Lamps(4, "numbers", acts)
    explore = RandomExplorer(2).explore(env, np.arange(4), torch.Generator().manual_seed(0))
    actions = Actions(env.single_action_space)
    action = actions.recorded(explore.action, explore.transition)
    mask = explore.mask.numpy()
    assert (was_taken(env.single_action_space, action)[mask] == explore.transition.numpy()[mask]).all()
    reset = int(np.flatnonzero(explore.reset_step[0].numpy())[0])
    assert env.action_name(action[0, reset]) == "next episode" != env.action_name(action[0, 0])
    taken = action[explore.transition.numpy()]
    torch.testing.assert_close(actions.stored(taken), explore.action[explore.transition])


def test_f_reads_the_description_and_knows_every_problem() -> None:
    recorded, env = recorded_of("parts, q")
    assert recorded.known is not None and recorded.known.all() and recorded.candidates is not None
    assert len(recorded.candidates) == PROBLEMS and recorded.codes is not None
    method, _ = built("parts, q")
    with torch.no_grad():
        expected = method.averaged.f(torch.from_numpy(env.problems.description))
    np.testing.assert_allclose(recorded.codes, expected.numpy(), atol=1e-6)
    assert part_beliefs(recorded, env)[0].probability.shape[0] == 3


def test_bars() -> None:
    space = Choices(Lamps(1, "numbers", "box"), "gaussian")  # step from -0.5 to 0.5, nothing from 0 to 4
    assert space.bars(np.array([0.25, 1.0, 0.25, 4.0])) == [(0.5, 1.0, "0.25 +- 0.25"), (0.0, 1.0, "1.00 +- 4.00")]
    several = Choices(Lamps(1, "numbers", "several"), "probabilities")
    assert several.names == ["side 0", "side 1", "length 0", "length 1", "length 2"]
    assert several.taken(np.array([1, 2])) == [1, 4] and several.bars(np.array([0.25]))[0] == (0.0, 0.25, "25%")
    one = Choices(Lamps(1, "numbers", "discrete"), "values")
    assert one.taken(np.array(1)) == [1]
    assert one.bars(np.array([-1.0, 1.0, 0.0])) == [(0.0, 0.04, "-1.00"), (0.0, 1.0, "1.00"), (0.0, 0.52, "0.00")]


@pytest.mark.parametrize("acts", ACTS)
@pytest.mark.parametrize("observes", OBSERVES)
def test_families_of_any_space_are_checked_and_drawn(observes: str, acts: str) -> None:
    check_family(Lamps(8, observes, acts))
    env = Lamps(2, observes, acts)
    env.reset(seed=0, options={"phase": "explore"})
    before = env.render_members()
    env.step(env.action_space.sample())
    after = env.render_members()
    assert before[0].shape == (400, 352, 3) and not np.array_equal(before[0][40:], after[0][40:])


@pytest.mark.parametrize(("observes", "acts"), [("integers", "discrete"), ("pair", "discrete"), ("codes", "several")])
def test_exact_posterior_of_integers(observes: str, acts: str) -> None:
    env = Lamps(16, observes, acts)
    recording = record_explorations(RandomExplorer(2), env, np.arange(6), 0)
    posterior = exact_posterior(env, recording.episodes)
    assert why_not_exact(env) is None and posterior is not None
    assert np.array_equal(posterior[0].argmax(2), np.broadcast_to(np.arange(6)[:, None] // 4, posterior[0].shape[:2]))


@pytest.mark.parametrize(
    ("observes", "acts", "which"), [("parts", "discrete", "observations"), ("codes", "box", "actions")]
)
def test_numbers_have_no_exact_posterior(observes: str, acts: str, which: str) -> None:
    env = Lamps(4, observes, acts)
    assert f"the {which} of lamps are numbers" in str(why_not_exact(env))
    with pytest.raises(
        UserError, match=f"exact posterior, which lamps does not have: the {which} of lamps are numbers"
    ):
        posterior_sampling_return(env, "test", 2)
    recording = record_explorations(RandomExplorer(), env, np.arange(4), 0)
    assert exact_posterior(env, recording.episodes) is None
    assert behaviour(recording, env)["length"].shape == (4,)


@pytest.mark.parametrize("case", ["numbers and Box, ppo", "end-to-end, parts, ppo"])
def test_diagnostics(case: str) -> None:
    method, env = built(case)
    diagnosis = Diagnosis(method)
    env.reset(seed=0)
    diagnosis.play(env, np.array([0, 1, 2]), torch.Generator())
    summary = diagnosis.summary()
    assert ("decoded" in summary) == (method.pair is not None) and "return_0" in summary
