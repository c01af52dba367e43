"""Recordings: they do not change the trials, agree with other computations, and are read back from files unchanged."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dream.config import TrainConfig, override
from dream.core.bottleneck import last_prefix, prefix_error
from dream.core.trial import Episodes, Trials
from dream.envs import MetaEnv, make
from dream.errors import UserError
from dream.eval.record.recorded import FORMAT, RecordedTrials, load_trials, save_trials
from dream.eval.record.recorder import record_trials
from dream.eval.show.movie import Movie
from dream.eval.show.words import narrate
from dream.exploration.information import information_reward
from dream.methods.build import build
from dream.methods.pair import DecoupledPair


def pair_of(method: str, env: str, members: int, **changes: Any) -> tuple[DecoupledPair, MetaEnv]:
    torch.manual_seed(0)
    config = override(TrainConfig(method=method, env=env), {name.replace("__", "."): v for name, v in changes.items()})
    pair, made = build(config, members)
    with torch.no_grad():  # codes and prefixes start small; make them differ
        pair.averaged.f.out.weight.mul_(8)
        pair.averaged.g.out.weight.mul_(8)
    return pair, made


def played(pair: DecoupledPair, env: MetaEnv, ids: np.ndarray, seed: int) -> Trials:
    env.reset(seed=seed)
    return pair.play(env, ids, torch.Generator().manual_seed(seed))


def arrays_of(recorded: RecordedTrials) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in dataclasses.fields(recorded):
        value = getattr(recorded, item.name)
        if dataclasses.is_dataclass(value):
            inner = {i.name: getattr(value, i.name) for i in dataclasses.fields(value)}
            inner |= {f"scene.{name}": array for name, array in inner.pop("scene").items()}
            found |= {f"{item.name}.{name}": array for name, array in inner.items()}
        else:
            found[item.name] = value
    return found


@pytest.mark.parametrize("method", ["dream", "random", "none", "posterior"])
def test_recording_does_not_change_the_trials(method: str) -> None:
    pair, env = pair_of(method, "bus", 5, trial__explore_episodes=2, trial__execute_episodes=2)
    ids = env.problems.ids("test")[:5]
    recorded, plain = record_trials(pair, env, ids, 3), played(pair, make("bus", 5), ids, 3)
    for phase in ("explore", "execute"):
        streams, episodes = getattr(recorded, phase), getattr(plain, phase)
        for item in dataclasses.fields(Episodes):
            expected = getattr(episodes, item.name).numpy()
            got = getattr(streams, item.name)
            if item.name != "instruction":
                assert not expected[:, got.shape[1] :].any() or item.name == "obs"
                expected = expected[:, : got.shape[1]]
            assert np.array_equal(got, expected), (phase, item.name)
    assert np.allclose(recorded.returns, plain.execute.reward.sum(1).view(5, 2).numpy())
    assert recorded.optimal is not None and np.allclose(recorded.optimal, 0.8) and recorded.optimal.shape == (5, 2)


def test_batches_are_padded_and_the_padding_is_dropped() -> None:
    pair, env = pair_of("dream", "signpost", 4)
    ids = np.array([0, 1, 1, 0, 1, 0])
    recorded = record_trials(pair, env, ids, 0, step=7)
    assert recorded.problem_id.tolist() == ids.tolist() and recorded.returns.shape == (6, 1) and recorded.step == 7
    assert recorded.explore.values is not None and len(recorded.explore.values) == len(recorded.execute.mask) == 6


def test_recorded_information_telescopes_and_is_the_explorers_reward() -> None:
    pair, env = pair_of("dream", "cooking", 6, trial__explore_episodes=2)
    ids = env.problems.ids("test")[:6]
    recorded, plain = record_trials(pair, env, ids, 1), played(pair, make("cooking", 6), ids, 1)
    net, explore = pair.averaged, plain.explore
    with torch.no_grad():
        code = net.f(torch.from_numpy(env.problems.features(ids)))
        error = prefix_error(code, net.g(explore), pair.config.bottleneck.noise_std)
    rewards = information_reward(error, explore).cumsum(1).numpy()
    steps = recorded.explore.mask.shape[1]
    assert recorded.information is not None and recorded.error is not None
    assert recorded.information[:, 0].tolist() == [0.0] * 6
    assert np.allclose(recorded.information[:, 1:], rewards[:, :steps], rtol=1e-3, atol=1e-3)
    final = error.gather(1, explore.length[:, None])[:, 0].numpy()
    assert np.allclose(recorded.information[:, -1], error[:, 0].numpy() - final, rtol=1e-3, atol=1e-3)
    assert np.abs(rewards).max() > 0.1 and np.all(recorded.known)


@pytest.mark.parametrize(
    ("method", "context"),
    [("dream", "decoded"), ("oracle", "id"), ("contextual", "instruction"), ("random", "decoded")],
)
def test_recorded_values_are_those_of_the_acting_networks(method: str, context: str) -> None:
    changes = {"executor__context": "instruction"} if method == "contextual" else {}
    pair, env = pair_of(method, "cooking", 6, trial__execute_episodes=2, **changes)
    ids = env.problems.ids("train")[:6]
    recorded = record_trials(pair, env, ids, 0)
    execute, explore = recorded.execute, recorded.explore
    assert recorded.context == context and execute.values is not None and recorded.z is not None
    assert (execute.values.argmax(2)[:, :-1] == execute.action)[execute.mask].all()
    assert (explore.values is not None) == (method == "dream")
    if explore.values is not None:
        assert (explore.values.argmax(2)[:, :-1] == explore.action)[explore.mask].all()
    with torch.no_grad():
        plain = played(pair, make("cooking", 6), ids, 0)
        expected = {
            "decoded": last_prefix(pair.averaged.g(plain.explore), plain.explore),
            "id": pair.averaged.f(torch.from_numpy(env.problems.features(ids))),
            "instruction": torch.zeros(6, pair.config.bottleneck.z_dim),
        }[context]
    assert np.allclose(recorded.z, expected.numpy(), atol=1e-5)


def test_positions_of_both_phases() -> None:
    pair, env = pair_of("random", "bus", 16, trial__explore_episodes=2, trial__execute_episodes=3)
    recorded = record_trials(pair, env, env.problems.ids("train")[:16], 0)
    for streams in (recorded.explore, recorded.execute):
        seen = np.concatenate([np.ones((len(streams.mask), 1), bool), streams.mask], axis=1)
        assert streams.position is not None and streams.informative is None
        assert np.array_equal(streams.position[seen], streams.obs[seen][:, :2].astype(float))
        assert np.isnan(streams.position[~seen]).all()
    assert len(recorded.execute.mask) == 48 and len(set(recorded.explore.length)) > 1
    for trial in range(16):
        first, second = recorded.explore.episodes(trial)
        assert first.start == 0 and second.start == first.stop
        assert second.stop == recorded.explore.length[trial] + 1
        assert recorded.explore.action[trial, first.stop - 1] == len(env.action_names)


def test_an_unseen_problem_gets_the_mean_code_of_equivalent_training_problems() -> None:
    pair, env = pair_of("dream", "bus", 2)
    unseen, train = 100, env.problems.ids("train")
    assert unseen not in train
    recorded = record_trials(pair, env, np.array([unseen, train[3]]), 0)
    assert recorded.known is not None and recorded.known.tolist() == [False, True]
    with torch.no_grad():
        codes = pair.averaged.f(torch.from_numpy(env.problems.factor_table)).numpy()
    alike = train[train % 24 == unseen % 24]  # the same useful lines
    assert recorded.code is not None and len(alike) >= 2
    assert np.allclose(recorded.code[0], codes[alike].mean(0), atol=1e-6)
    assert np.allclose(recorded.code[1], codes[train[3]])
    assert recorded.candidates is not None and recorded.candidates.tolist() == train.tolist()


class WithoutEncoders:
    """Plays as a pair does, and has neither f nor g."""

    def __init__(self, pair: DecoupledPair) -> None:
        self.config, self.explore, self.execute = pair.config, pair.explore, pair.execute
        self.pair = self.context = None


def test_a_method_without_encoders_is_recorded_without_beliefs() -> None:
    pair, env = pair_of("dream", "signpost", 3)
    ids = np.array([0, 1, 0])
    recorded = record_trials(WithoutEncoders(pair), env, ids, 0)
    assert recorded.information is None and recorded.z is None and recorded.context is None
    assert recorded.explore.values is None and recorded.execute.values is None
    full = record_trials(pair, env, ids, 0)
    assert np.array_equal(recorded.explore.obs, full.explore.obs) and np.array_equal(recorded.returns, full.returns)


def test_a_file_holds_everything_and_no_pickle(tmp_path: Path) -> None:
    pair, env = pair_of("dream", "signpost", 5)
    recorded = record_trials(pair, env, np.array([0, 1, 1, 0, 1]), 2, step=11).select([3, 1])
    path = tmp_path / "episodes" / "a.npz"
    save_trials(recorded, path)
    again = load_trials(path)
    before, after = arrays_of(recorded), arrays_of(again)
    assert before.keys() == after.keys()
    for name, value in before.items():
        if isinstance(value, np.ndarray):
            assert after[name].dtype == value.dtype and np.array_equal(
                after[name], value, equal_nan=value.dtype.kind == "f"
            )
        else:
            assert after[name] == value, name
    assert again.problem_id.tolist() == [0, 1] and len(again.execute.mask) == 2
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)
    assert path.stat().st_size < 20_000 and [p.name for p in path.parent.iterdir()] == ["a.npz"]


def test_other_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    np.savez(tmp_path / "old.npz", facts=np.array(f'{{"format": {FORMAT - 1}}}'))
    for name, sentence in (("nowhere", "does not exist"), ("text", "no recording"), ("other", "no recording")):
        with pytest.raises(UserError, match=sentence):
            load_trials(tmp_path / f"{name}.npz")
    with pytest.raises(UserError, match="another version"):
        load_trials(tmp_path / "old.npz")
    (tmp_path / "file").write_text("")
    pair, env = pair_of("none", "signpost", 1)
    with pytest.raises(UserError, match="Cannot write"):
        save_trials(record_trials(pair, env, np.array([0]), 0), tmp_path / "file" / "a.npz")


def test_trials_that_did_not_explore_have_one_observation() -> None:
    pair, env = pair_of("none", "signpost", 2)
    recorded = record_trials(pair, env, np.array([0, 1]), 0)
    assert recorded.explore.episodes(0) == [slice(0, 1)] and recorded.explore.length.tolist() == [0, 0]
    assert recorded.information is not None and not recorded.information.any()


@pytest.mark.parametrize(("method", "explorations"), [("rl2", 2), ("rl2", 0), ("varibad", 1)])
def test_end_to_end_policies_are_recorded_drawn_and_described(method: str, explorations: int) -> None:
    torch.manual_seed(0)
    changes = {"trial.explore_episodes": explorations, "trial.execute_episodes": 2}
    policy, env = build(override(TrainConfig(method=method, env="cooking"), changes), 2)
    recorded = record_trials(policy, env, np.array([1, 2]), 0)
    assert len(recorded.explore.episodes(0)) == max(1, explorations) and recorded.returns.shape == (2, 2)
    position = recorded.explore.position
    if explorations:
        seen = np.concatenate([np.ones((2, 1), bool), recorded.explore.mask], axis=1)
        assert position is not None and np.array_equal(position[seen], recorded.explore.obs[seen][:, :2].astype(float))
    story = narrate(recorded, env)[0]
    assert story.count("xplored") == explorations and story.count("return") == 2
    assert Movie(recorded, env).sheet([0], 4).shape[2] == 3
