"""Observations of every canonical space as features, running statistics of numbers, Dicts in rollouts and replay."""

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dream.core.actions import Actions
from dream.core.networks import RecurrentPolicy
from dream.core.observations import RunningNorm, frame_encoder, observation_encoder, observe
from dream.core.replay import TrialReplay, trial_bytes
from dream.core.rollout import Now, no_steps, rollout
from dream.core.trial import Episodes, Trials, chain, concatenate, concatenate_trials
from dream.envs import MetaEnv, ProblemSet
from dream.errors import UserError
from dream.spaces import each, integer_space, number_space
from tests.small_training import build, trained

SPACES: dict[str, gym.Space[Any]] = {
    "integers": integer_space([4, 3]),
    "one integer": integer_space([7]),
    "colour image": gym.spaces.Box(0, 255, (28, 36, 3), np.uint8),
    "smallest image": gym.spaces.Box(0, 255, (5, 5, 1), np.uint8),
    "image of codes": integer_space(np.broadcast_to([11, 6, 3], (7, 7, 3))),
    "numbers": number_space(-np.inf, np.inf, (3,)),
    "parts": gym.spaces.Dict(
        {
            "image": gym.spaces.Box(0, 255, (6, 5, 4), np.uint8),
            "codes": integer_space(np.broadcast_to([3, 4], (5, 5, 2))),
            "integers": integer_space([4, 3]),
            "a.numbers": number_space(-1.0, 1.0, (2,)),
        }
    ),
}
EVERY = pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))


def random_observations(space: gym.Space[Any], *leading: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)

    def draw(part: gym.Space[Any]) -> Tensor:
        if isinstance(part, gym.spaces.MultiDiscrete):
            return torch.from_numpy(rng.integers(part.nvec, size=(*leading, *part.shape)).astype(np.int16))
        if part.dtype == np.uint8:
            return torch.from_numpy(rng.integers(256, size=(*leading, *part.shape)).astype(np.uint8))  # type: ignore[misc]
        return torch.from_numpy(rng.normal(5.0, 100.0, (*leading, *part.shape)).astype(np.float32))  # type: ignore[misc]

    return {k: draw(part) for k, part in space.spaces.items()} if isinstance(space, gym.spaces.Dict) else draw(space)


# -- features ----------------------------------------------------------------------------------------------------


@EVERY
def test_every_space_gives_finite_features_and_gradients(space: gym.Space[Any]) -> None:
    torch.manual_seed(0)
    obs = random_observations(space, 3, 4)
    observed = torch.tensor([[True] * 4, [True, True, False, False], [True, False, False, False]])
    frames, first = frame_encoder(space), observation_encoder(space, 8)
    features = first(frames(obs, observed))
    assert features.shape == (3, 4, 8) and torch.isfinite(features).all()
    (features[observed] ** 2).sum().backward()
    parameters = [*frames.parameters(), *first.parameters()]
    assert parameters and all(p.grad is not None and torch.isfinite(p.grad).all() for p in parameters)
    assert all(p.grad.any() for p in parameters)  # type: ignore[union-attr]
    alone = first(frames(each(lambda part: part[1, 1], obs)))
    torch.testing.assert_close(alone, features[1, 1], rtol=1e-4, atol=1e-4)


@EVERY
def test_a_policy_acts_step_by_step_as_on_the_whole_stream(space: gym.Space[Any]) -> None:
    torch.manual_seed(0)
    frames = frame_encoder(space)
    policy = RecurrentPolicy(space, Actions(gym.spaces.Discrete(4)), width=12, memory_size=6, learner="ppo")
    obs = random_observations(space, 2, 5)
    whole, state = policy(frames(obs)), None
    for t in range(5):
        out, state = policy.step(frames(each(lambda part, t=t: part[:, t], obs)), None, None, state)
        torch.testing.assert_close(out, whole[:, t], rtol=1e-4, atol=1e-4)


def test_parts_stand_side_by_side_and_each_is_encoded_as_it_would_be_alone() -> None:
    torch.manual_seed(0)
    space = SPACES["parts"]
    assert isinstance(space, gym.spaces.Dict)
    frames, obs = frame_encoder(space), random_observations(space, 3)
    features, at = frames(obs), 0
    for name, encode in zip(space.spaces, frames.parts, strict=True):  # type: ignore[union-attr,arg-type]
        size = encode.out_features
        torch.testing.assert_close(features[:, at : at + size], encode(obs[name]))
        at += size
        if name == "integers":  # a one-hot for each
            expected = torch.cat([nn.functional.one_hot(obs[name][:, i].long(), n) for i, n in enumerate((4, 3))], -1)
            assert torch.equal(encode(obs[name]), expected.float())
    assert at == features.shape[-1] == frames.out_features


def test_codes_are_categories() -> None:
    """An image of codes is embedded cell by cell, each channel in a table of its own."""
    torch.manual_seed(0)
    space = SPACES["image of codes"]
    frames, obs = frame_encoder(space), random_observations(space, 2)
    table = frames.embed.table  # type: ignore[union-attr]
    by_hand = sum(table[obs[..., c].long() + offset] for c, offset in enumerate((0, 11, 17)))  # type: ignore[index]
    torch.testing.assert_close(frames.embed(obs), by_hand)  # type: ignore[operator]
    assert frames(obs).shape == (2, 32 * 3 * 3)


# -- running statistics ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_running_statistics_are_those_of_all_batches_together(sizes: list[int], seed: int) -> None:
    norm, rng = RunningNorm(3), np.random.default_rng(seed)
    batches = [rng.normal([0.0, 500.0, -2.0], [1.0, 30.0, 0.0], (size, 3)).astype(np.float32) for size in sizes]
    for batch in batches:
        norm.observe(torch.from_numpy(batch))
    every = np.concatenate(batches).astype(np.float64)
    np.testing.assert_allclose(norm.mean.numpy(), every.mean(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(norm.variance.numpy(), every.var(0), rtol=1e-7, atol=1e-7)
    assert float(norm.count) == len(every)
    standard = (every - every.mean(0)) / (every.std(0) + 1e-3)
    got = norm(torch.from_numpy(every.astype(np.float32)))
    np.testing.assert_allclose(got.numpy()[:, :2], standard[:, :2], rtol=1e-3, atol=1e-3)


def test_numbers_are_unchanged_before_the_first_batch_and_never_beyond_ten_deviations() -> None:
    norm = RunningNorm(2)
    torch.testing.assert_close(norm(torch.tensor([0.5, -3.0])), torch.tensor([0.5, -3.0]), rtol=2e-3, atol=0)
    norm.observe(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
    assert norm(torch.tensor([1e6, -1e6])).tolist() == [10.0, -10.0]


def stream(obs: Tensor | dict[str, Tensor], lengths: list[int]) -> Episodes:
    steps = next(iter(obs.values())).shape[1] - 1 if isinstance(obs, dict) else obs.shape[1] - 1
    n, zero = len(lengths), torch.zeros(len(lengths), steps)
    mask = torch.arange(steps) < torch.tensor(lengths)[:, None]
    return Episodes(obs, zero.long(), zero, zero.bool(), mask, zero.bool(), torch.zeros(n, 1, dtype=torch.int64))


def test_only_what_was_observed_counts() -> None:
    space = gym.spaces.Dict({"x": number_space(-9, 9, (1,)), "sign": integer_space([3])})
    frames, other = frame_encoder(space), frame_encoder(space)
    x = torch.tensor([[[1.0], [3.0], [99.0]], [[5.0], [99.0], [99.0]]])
    one = stream({"x": x, "sign": torch.zeros(2, 3, 1, dtype=torch.int16)}, [1, 0])
    observe([frames, nn.Sequential(other)], one)
    for encoder in (frames, other):
        norm = next(module for module in encoder.modules() if isinstance(module, RunningNorm))
        assert float(norm.count) == 3 and norm.mean.tolist() == [3.0]
        assert norm.variance.tolist() == pytest.approx([8 / 3])


@pytest.mark.parametrize("name", ["dream", "rl2"])
def test_statistics_are_saved_and_the_same_in_online_and_averaged_networks(name: str) -> None:
    ppo = {f"{policy}__learner": "ppo" for policy in ("explorer", "executor", "end_to_end")}
    loop = trained(name, env="tests.toys:Dial", **ppo)
    weights = loop.method.weights()
    counts = {key: value for key, value in weights.items() if key.endswith(".count")}
    online = [key for key in counts if key.startswith("online.")]
    assert online and all(float(counts[key]) > 0 for key in online)
    for key in online:
        for statistic in ("count", "mean", "variance"):
            own = key.removesuffix("count") + statistic
            assert torch.equal(weights[own], weights[own.replace("online.", "averaged.", 1)])
    returns = [key for key in weights if "returns" in key]
    assert {key.rsplit(".", 1)[1] for key in returns} == {"weight", "mean", "square"}
    other, _ = build(name, seed=5, env="tests.toys:Dial", **ppo)
    other.load_weights({key: value.clone() for key, value in weights.items()})
    assert all(torch.equal(value, weights[key]) for key, value in other.weights().items())


# -- a module of one's own ---------------------------------------------------------------------------------------


class Own(nn.Module):
    """Encodes the two integers of the signpost as numbers."""

    def __init__(self, space: gym.Space[Any]):
        super().__init__()
        self.linear, self.out_features = nn.Linear(space.shape[0], 7), 7  # type: ignore[index]

    def forward(self, obs: Tensor, observed: Tensor | None = None) -> Tensor:
        """(..., 2) -> (..., 7)."""
        return torch.tanh(self.linear(obs.float()))


class WithoutSize(nn.Module):
    """Says nothing about the size of its features."""

    def __init__(self, space: gym.Space[Any]):
        super().__init__()


class Broken(nn.Module):
    """Cannot be made."""

    def __init__(self, space: gym.Space[Any]):
        raise RuntimeError("no such layer")


@pytest.mark.parametrize("name", ["dream", "import"])
def test_a_module_of_ones_own_encodes_observations_and_learns(name: str) -> None:
    method, _ = build(name, network__observation="tests.test_observations:Own")
    before = {key: value.clone() for key, value in method.weights().items()}
    after = trained(name, network__observation="tests.test_observations:Own").method.weights()
    own = [key for key in after if key.startswith("online.") and key.endswith("linear.weight")]
    assert own and all(not torch.equal(before[key], after[key]) for key in own)


@pytest.mark.parametrize("policy", ["explorer", "executor"])
def test_a_policy_can_have_an_encoder_of_its_own(policy: str) -> None:
    own = {f"{policy}__observation": "tests.test_observations:Own"}
    before, _ = build("dream", **own)
    owners = {key.split(".")[1] for key in before.weights() if key.endswith("frames.linear.weight")}
    assert owners == {policy}
    after = trained("dream", **own).method.weights()
    key = f"online.{policy}.frames.linear.weight"
    assert not torch.equal(before.weights()[key], after[key])
    with pytest.raises(UserError, match=rf"{policy}\.observation is 'tests\.test_observations:Broken'"):
        build("dream", **{f"{policy}__observation": "tests.test_observations:Broken"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tests.test_observations:WithoutSize", "attribute out_features, but AttributeError"),
        ("tests.test_observations:Broken", "RuntimeError: no such layer"),
        ("tests.test_observations:Nothing", "Nothing"),
        ("no.such.module:Own", "no"),
    ],
)
def test_modules_that_encode_nothing_are_refused_in_one_sentence(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        build("dream", network__observation=name)
    assert name.split(":")[0] in str(refused.value) and "\n" not in str(refused.value)


# -- Dicts and actions of several components, from the environment into batches ------------------------------------


class Echo(MetaEnv):
    """Observes problem, step and the action it was just given, in parts; problem p ends its episodes after p + 1 steps.

    Args:
        num_envs: members.
        action_space: MultiDiscrete (K,) or Box (K,).
    """

    summary = "observes its actions (for tests)"

    def __init__(self, num_envs: int, action_space: gym.spaces.MultiDiscrete | gym.spaces.Box):
        ids, size = np.arange(4), action_space.shape[0]
        super().__init__(
            num_envs,
            problems=ProblemSet("echo", {}, 4, {"train": ids, "validation": ids, "test": ids}, (4,), ids[:, None]),
            horizon=5,
            observation_space=gym.spaces.Dict(
                {"place": integer_space([4, 6]), "given": number_space(-np.inf, np.inf, (size,))}
            ),
            instruction_space=gym.spaces.MultiDiscrete([2]),
            action_names=[f"part {i}" for i in range(size)],
            action_space=action_space,
        )
        self._given = np.zeros((num_envs, size), np.float32)

    def sample_instruction(self, problem_id: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """0 or 1, (N,) -> (N, 1)."""
        return rng.integers(2, size=(len(problem_id), 1))

    def _begin(self, members: np.ndarray) -> Any:
        self._given[members] = 0.0
        return self._observe()

    def _advance(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
        self._given = actions.astype(np.float32)
        return self._observe(), self._given.sum(1), self.elapsed > self.problem_id

    def _observe(self) -> Any:
        place = np.stack([self.problem_id, np.maximum(self.elapsed, 0)], 1).astype(np.int16)
        return {"place": place, "given": self._given.copy()}


SEVERAL = gym.spaces.MultiDiscrete([3, 2])
BOX = gym.spaces.Box(np.float32([-1.0, 2.0]), np.float32([1.0, 10.0]))
KINDS = pytest.mark.parametrize("space", [SEVERAL, BOX], ids=["several", "box"])


def collected(space: Any, seed: int = 0, executions: int = 2) -> Trials:
    """Four trials of two explorations, which chose actions at random, some of a Box outside its bounds."""
    env, ids = Echo(4, space), np.arange(4)
    env.reset(seed=seed)
    generator, actions = torch.Generator().manual_seed(seed), Actions(space)

    def policy(now: Now, state: Any) -> tuple[Tensor, Any]:
        return 2 * actions.random(None, 4, generator) if space is BOX else actions.random(None, 4, generator), None

    explore = rollout(env, policy, ids, phase="explore", episodes=2)
    parts = [rollout(env, policy, ids, phase="execute") for _ in range(executions)]
    names = Episodes.__dataclass_fields__

    def interleaved(*values: Tensor) -> Tensor:
        return torch.stack(values, 1).flatten(0, 1)

    execute = Episodes(**{name: each(interleaved, *(getattr(part, name) for part in parts)) for name in names})
    return Trials(torch.from_numpy(ids), explore, execute, torch.zeros(4, dtype=torch.bool))


def tensors(episodes: Episodes) -> Iterator[tuple[str, Tensor]]:
    for name in Episodes.__dataclass_fields__:
        value = getattr(episodes, name)
        yield from value.items() if isinstance(value, dict) else [(name, value)]


@KINDS
def test_a_rollout_records_what_was_observed_and_chosen(space: Any) -> None:
    explore, actions = collected(space).explore, Actions(space)
    assert explore.length.tolist() == [2 * (p + 1) + 1 for p in range(4)]
    assert explore.obs["place"].dtype == torch.int16 and explore.action.dtype == actions.dtype
    for p in range(4):
        reset = p + 1
        assert explore.reset_step[p].nonzero()[:, 0].tolist() == [reset]
        assert torch.equal(explore.action[p, reset], actions.nothing())
        steps = [*range(p + 2), *range(p + 2)]
        assert explore.obs["place"][p, : len(steps)].tolist() == [[p, step] for step in steps]
        for t in explore.transition[p].nonzero()[:, 0].tolist():
            given = actions.for_environment(explore.action[[p], t])[0]
            assert space.contains(given.astype(space.dtype))
            np.testing.assert_array_equal(explore.obs["given"][p, t + 1].numpy(), given.astype(np.float32))
            assert float(explore.reward[p, t]) == 0.0  # exploring
    if space is BOX:
        assert explore.action.abs().max() > 1  # kept as chosen, though the environment was given it clipped
    previous = explore.previous_action(actions)
    assert torch.equal(previous[:, 0], actions.nothing(4)) and torch.equal(previous[:, 1:], explore.action)


@KINDS
def test_replay_returns_what_was_put_in(space: Any) -> None:
    replay, trials = TrialReplay(6, seed=0), collected(space)
    replay.add(trials)
    for observations in ("both", "explore", "execute"):
        got = replay.sample(9, observations)  # type: ignore[arg-type]
        for row, problem in enumerate(got.problem_id.tolist()):
            for phase, n in (("explore", 1), ("execute", 2)):
                put, back = getattr(trials, phase), getattr(got, phase)
                for j in range(n):
                    one, other = (some.select(torch.tensor([i * n + j])) for some, i in ((put, problem), (back, row)))
                    slots = int(one.length)
                    assert torch.equal(other.length, one.length)
                    for name, value in tensors(one):
                        kept = slots + 1 if name in ("place", "given") else slots
                        if name in ("place", "given") and observations not in ("both", phase):
                            kept = 1  # of the phase that was not asked for, the first observation only
                        found = dict(tensors(other))[name]
                        kept = value.shape[1] if name == "instruction" else kept
                        assert torch.equal(found[:, :kept], value[:, :kept]) and found.dtype == value.dtype, name


@KINDS
def test_replay_survives_saving_and_overwrites_the_oldest(space: Any) -> None:
    replay, other = TrialReplay(6, seed=0), TrialReplay(6, seed=9)
    replay.add(collected(space, seed=0))
    replay.add(collected(space, seed=1))
    other.load_state_dict(replay.state_dict())
    one, two = replay.sample(5), other.sample(5)
    for phase in ("explore", "execute"):
        pairs = zip(tensors(getattr(one, phase)), tensors(getattr(two, phase)), strict=True)
        assert all(torch.equal(a, b) for (_, a), (_, b) in pairs)
    problem, step = replay.sample_transitions(8)
    assert step.obs["place"].shape == (8, 2, 2) and step.action.shape == (8, 1, 2)
    assert (step.obs["place"][:, 0, 0] == problem).all()
    assert len(set(problem.tolist())) == 4
    env, trials = Echo(1, space), collected(space)
    stored = [
        tensor.nbytes // 4
        for phase in (trials.explore, trials.execute)
        for name, tensor in tensors(phase)
        if name != "instruction"
    ]
    assert trial_bytes(env, 2, 2) == sum(stored)


@KINDS
def test_streams_are_chained_and_concatenated_part_by_part(space: Any) -> None:
    actions, ids = Actions(space), np.arange(4)
    generator = torch.Generator().manual_seed(0)

    def one() -> Episodes:
        env = Echo(4, space)
        return rollout(env, lambda now, state: (actions.random(None, 4, generator), None), ids, phase="explore")

    first, second = one(), one()
    both = chain(first, second, actions)
    assert both.length.tolist() == [2 * (p + 1) + 1 for p in range(4)]
    for p in range(4):
        steps, after = p + 1, p + 2
        for name in ("place", "given"):
            assert torch.equal(both.obs[name][p, : steps + 1], first.obs[name][p, : steps + 1])
            assert torch.equal(both.obs[name][p, after : after + steps + 1], second.obs[name][p, : steps + 1])
        assert torch.equal(both.action[p, :steps], first.action[p, :steps])
        assert torch.equal(both.action[p, steps], actions.nothing())
        assert torch.equal(both.action[p, after : after + steps], second.action[p, :steps])
    long, short = collected(space).explore, first.trimmed()
    joined = concatenate(short, long)
    for part, rows in ((short, slice(4)), (long, slice(4, None))):
        for name, value in tensors(part):
            kept = dict(tensors(joined))[name][rows]
            assert torch.equal(kept[:, : value.shape[1]], value) and not kept[:, value.shape[1] :].any(), name
    trials = concatenate_trials(collected(space), collected(space, seed=1))
    assert len(trials.problem_id) == 8 and len(trials.explore.obs["given"]) == 8


@KINDS
def test_no_steps_hold_the_first_observation_of_every_part(space: Any) -> None:
    env = Echo(3, space)
    nothing = no_steps(env, np.array([0, 1, 2]), phase="explore")
    assert nothing.obs["place"][:, 0].tolist() == [[0, 0], [1, 0], [2, 0]] and not nothing.mask.any()
    assert nothing.obs["given"].shape == (3, 6, 2) and nothing.action.shape == (3, 5, 2)
    assert nothing.action.dtype == Actions(space).dtype
