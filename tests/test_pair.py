"""The decoupled pair: reproducible, greedy when it plays, blind to problem ids at test time, each loss in its place."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dream.config import TrainConfig
from dream.core.acting import member_epsilons
from dream.core.bottleneck import last_prefix
from dream.core.trial import Episodes, Trials
from dream.envs import make
from dream.errors import UserError
from dream.exploration.base import Belief, FunctionReward
from dream.methods.pair import DecoupledPair
from dream.methods.registry import METHODS
from dream.methods.rules import PairRules
from tests.small_training import Loop, Relabelled, build, play, same, trained

RIGHT, END = 1, 4
PAIRS = [name for name, spec in METHODS.items() if isinstance(spec.rules(TrainConfig()), PairRules)]
"""The methods that are decoupled pairs."""


# -- learning ----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two, other = trained(), trained(), trained(seed=1)
    assert all(torch.equal(value, two.method.weights()[name]) for name, value in one.method.weights().items())
    assert one.metrics == two.metrics
    different = [not torch.equal(value, other.method.weights()[name]) for name, value in one.method.weights().items()]
    assert sum(different) > len(different) / 2


@pytest.mark.parametrize("method", PAIRS)
@pytest.mark.parametrize(("k", "n"), [(1, 1), (2, 3)])
def test_every_method_learns_on_one_or_more_episodes(method: str, k: int, n: int) -> None:
    loop = trained(method, trial__explore_episodes=k, trial__execute_episodes=n)
    assert loop.metrics.keys() >= {"loss/encoder", "loss/executor", "bottleneck/rate", "explore/explained"}
    assert all(torch.isfinite(value).all() for value in loop.metrics.values()), loop.metrics
    assert all(torch.isfinite(value).all() for value in loop.method.weights().values())
    net = loop.method.networks
    assert ("loss/explorer" in loop.metrics) == (net.explorer is not None)
    learns = loop.method.reward is not None and bool(list(loop.method.reward.parameters()))
    assert ("loss/reward" in loop.metrics) == learns
    assert ("loss/posterior" in loop.metrics) == (net.posterior is not None)
    trials = play(loop.method, loop.env, np.arange(12) % 2)
    assert trials.execute_episodes == n and len(trials.explore.mask) == 12


def test_the_averaged_networks_follow_the_online_ones() -> None:
    method, env = build(learning__tau=0.25)
    before = {name: value.clone() for name, value in method.weights().items()}
    Loop(method, env).rounds(1)
    after = method.weights()
    moved = 0
    for name in (name.removeprefix("online.") for name in after if name.startswith("online.")):
        expected = torch.lerp(before[f"averaged.{name}"], after[f"online.{name}"], 0.25)
        torch.testing.assert_close(after[f"averaged.{name}"], expected)
        moved += not torch.equal(before[f"online.{name}"], after[f"online.{name}"])
    assert moved > 20
    assert not any(parameter.requires_grad for parameter in method.averaged.parameters())


def test_the_bottleneck_pulls_the_codes_towards_zero() -> None:
    loose, tight = trained(rounds=12, bottleneck__rate_weight=0.0), trained(rounds=12, bottleneck__rate_weight=10.0)
    assert tight.metrics["bottleneck/rate"] < 0.5 * loose.metrics["bottleneck/rate"]


# -- acting while training ---------------------------------------------------------------------------------------


def test_epsilons_are_spread_geometrically() -> None:
    epsilon = member_epsilons(5, 0.01)
    torch.testing.assert_close(epsilon, torch.tensor([1.0, 0.316228, 0.1, 0.0316228, 0.01]))


def likes(monkeypatch: pytest.MonkeyPatch, method: DecoupledPair, action: int) -> None:
    """Make the explorer prefer one action in every state."""
    q = torch.zeros(5)
    q[action] = 1.0
    for networks in (method.networks, method.averaged):
        monkeypatch.setattr(networks.explorer, "step", lambda obs, *rest: (q.expand(len(obs), 5), rest[-1]))


def share(explore: Episodes, action: int, members: slice) -> float:
    """How often these members took an action."""
    return float((explore.action[members][explore.mask[members]] == action).float().mean())


def test_the_explorer_acts_at_random_until_g_explains_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    method, env = build(learning__num_envs=100, explorer__min_explained=0.5, explorer__random_fraction=0.25)
    likes(monkeypatch, method, RIGHT)
    ids, generator = np.arange(100) % 2, torch.Generator().manual_seed(0)
    method.losses.explained = torch.tensor(0.49)
    closed = method.collect(env, ids, generator).explore
    assert 0.15 < share(closed, RIGHT, slice(0, 100)) < 0.35
    method.losses.explained = torch.tensor(0.51)
    opened = method.collect(env, ids, generator).explore
    assert 0.1 < share(opened, RIGHT, slice(0, 25)) < 0.4
    assert 0.5 < share(opened, RIGHT, slice(25, 75)) < share(opened, RIGHT, slice(75, 100))
    assert share(opened, RIGHT, slice(75, 100)) > 0.9


def test_the_explorer_cannot_choose_to_end_an_episode_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would never observe what it misses. Random actions may end it, and so may the explorer in `play`."""
    method, env = build(learning__num_envs=100, explorer__min_explained=0.5)
    likes(monkeypatch, method, END)
    ids = np.arange(100) % 2
    method.losses.explained = torch.tensor(0.51)
    explore = method.collect(env, ids, torch.Generator().manual_seed(0)).explore
    assert 0.001 < share(explore, END, slice(0, 100)) < 0.05
    assert (play(method, env, ids).explore.transition.sum(1) == 1).all()


def test_random_actions_seldom_end_an_episode() -> None:
    method, env = build("random", learning__num_envs=1000)
    explore = play(method, env, np.arange(1000) % 2).explore
    counts = torch.bincount(explore.action[explore.mask], minlength=5) / explore.mask.sum()
    torch.testing.assert_close(counts, torch.tensor([0.245, 0.245, 0.245, 0.245, 0.02]), rtol=0, atol=0.03)
    assert counts[END] > 0


def test_some_trials_are_executed_on_the_code_of_the_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = trained(executor__id_fraction=0.5, learning__num_envs=40)
    method, given = loop.method, []
    step = method.networks.executor.step

    def spy(obs: Tensor, previous: Tensor, instruction: Tensor, z: Tensor, memory: Any) -> Any:
        given.append(z)
        return step(obs, previous, instruction, z, memory)

    first = method.collect(loop.env, np.arange(40) % 2, loop.generator)
    monkeypatch.setattr(method.networks.executor, "step", spy)
    trials = method.collect(loop.env, np.arange(40) % 2, loop.generator)
    assert int(trials.used_id.sum()) == 20 and not torch.equal(trials.used_id, first.used_id)
    code = method.networks.f(trials.problem_id[:, None])
    decoded = method.networks.g(trials.explore)[torch.arange(40), trials.decoded_steps]
    for z in given:
        torch.testing.assert_close(z, torch.where(trials.used_id[:, None], code, decoded))
    assert not torch.allclose(code, decoded, atol=1e-4)


def test_executors_learn_from_nothing_from_parts_and_from_whole_explorations() -> None:
    shares = {"executor__id_fraction": 0.5, "executor__empty_fraction": 0.25, "executor__prefix_fraction": 0.5}
    loop = trained("random", env="map", learning__num_envs=400, **shares)
    trials = loop.method.collect(loop.env, np.arange(400) % 24, loop.generator)
    steps, length = trials.decoded_steps, trials.explore.length
    assert int((steps == -1).sum()) == 200 and torch.equal(trials.used_id, steps == -1)
    on_g = steps[steps >= 0] / length[steps >= 0]
    nothing, whole = int((on_g == 0).sum()), int((on_g == 1).sum())
    assert 50 <= nothing <= 70 and 50 <= whole <= 70  # a random part may be nothing or the whole
    parts = on_g[(on_g > 0) & (on_g < 1)]
    assert len(parts) + nothing + whole == 200 and 0.4 < float(parts.mean()) < 0.6


@pytest.mark.parametrize(("empty", "prefix", "expected"), [(0.0, 0.0, "whole"), (1.0, 0.0, "nothing")])
def test_the_shares_of_an_executor_may_be_none_or_all(empty: float, prefix: float, expected: str) -> None:
    loop = trained("random", env="map", executor__empty_fraction=empty, executor__prefix_fraction=prefix)
    trials = loop.rounds(1)
    steps, length = trials.decoded_steps[~trials.used_id], trials.explore.length[~trials.used_id]
    assert torch.equal(steps, length if expected == "whole" else torch.zeros_like(length))


@pytest.mark.parametrize(("fraction", "method", "share"), [(0.0, "dream", 0), (1.0, "dream", 1), (0.0, "oracle", 1)])
def test_the_share_of_trials_executed_on_the_problem_id(fraction: float, method: str, share: float) -> None:
    loop = Loop(*build(method, executor__id_fraction=fraction))
    assert loop.rounds(2).used_id.float().mean() == share
    assert all(torch.isfinite(value).all() for value in loop.metrics.values())


# -- playing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ["signpost", "map"])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("sees_action", [False, True])
def test_play_is_greedy(env: str, k: int, sees_action: bool) -> None:
    """Every action is the best one of the averaged networks, evaluated on the recorded streams as a whole."""
    loop = trained(
        env=env,
        trial__explore_episodes=k,
        trial__execute_episodes=2,
        executor__previous_action="observed" if sees_action else "hidden",
    )
    net = loop.method.averaged
    trials = play(loop.method, loop.env, loop.env.problems.sample("test", 12, np.random.default_rng(0)))
    z = last_prefix(net.g(trials.explore), trials.explore).repeat_interleave(2, 0)
    assert net.explorer is not None
    for episodes, q in (
        (trials.explore, net.explorer(trials.explore, net.g.encode_frames(trials.explore))),
        (trials.execute, net.executor(trials.execute, net.executor.encode_frames(trials.execute), z)),
    ):
        taken = q[:, :-1].gather(-1, episodes.action.clamp(max=q.shape[-1] - 1)[..., None])[..., 0]
        regret = (q[:, :-1].amax(-1) - taken)[episodes.transition]
        assert len(regret) >= 12 and regret.max() < 1e-5
    assert not trials.used_id.any()


@pytest.mark.parametrize("instruction", ["sum", "query"])
def test_an_executor_acts_on_its_previous_action_where_it_observes_it(instruction: str) -> None:
    for sees_action in (False, True):
        loop = trained(
            env="map",
            executor__previous_action="observed" if sees_action else "hidden",
            network__instruction=instruction,
        )
        net = loop.method.averaged.executor
        state, frames = None, net.frames(torch.zeros(5, *loop.env.single_observation_space.shape, dtype=torch.int16))
        given = torch.zeros(5, 2, dtype=torch.int64), torch.ones(5, 4)
        q, _ = net.step(frames, torch.arange(5), *given, state)
        assert torch.allclose(q[1:], q[:1].expand(4, -1)) != sees_action


def test_play_is_deterministic_except_for_random_and_posterior_explorers() -> None:
    for method, draws in (("dream", False), ("count", False), ("none", False), ("random", True), ("posterior", True)):
        loop = trained(method)
        generator = torch.Generator().manual_seed(0)
        before = generator.get_state()
        loop.method.play(loop.env, np.arange(12) % 2, generator)
        assert torch.equal(generator.get_state(), before) != draws, method


def test_execution_episodes_are_ordered_trial_by_trial() -> None:
    loop = trained(env="map", trial__execute_episodes=3)
    ids = loop.env.problems.sample("train", 12, np.random.default_rng(1))
    trials = play(loop.method, loop.env, ids)
    loop.env.reset(seed=5)
    drawn = np.stack([loop.env.sample_instruction(ids, loop.env.np_random) for _ in range(3)], 1)
    assert trials.execute.instruction.view(12, 3, 2).tolist() == drawn.tolist()
    # Stream b * 3 + j, played again in problem b, gives the same observations and rewards.
    again = make("map", 36)
    obs, _ = again.reset(options={"problem_id": np.repeat(ids, 3), "instruction": drawn.reshape(36, 2)})
    for t in range(again.horizon):
        inside = trials.execute.mask[:, t].numpy()
        assert (trials.execute.obs[:, t].numpy()[inside] == obs[inside]).all()
        obs, reward, *_ = again.step(trials.execute.action[:, t].numpy())
        assert (trials.execute.reward[:, t].numpy()[inside] == reward[inside]).all()


def test_none_takes_no_exploration_step() -> None:
    loop = trained("none")
    trials = play(loop.method, loop.env, np.arange(12) % 2)
    assert not trials.explore.mask.any() and loop.method.networks.explorer is None
    assert trials.environment_steps() == int(trials.execute.mask.sum()) > 0
    assert torch.equal(trials.execute.action[::2], trials.execute.action[1::2])  # both problems look the same to it


@pytest.mark.parametrize(("name", "context"), [("dream", "decoded"), ("oracle", "id"), ("contextual", "id")])
def test_a_pair_shows_its_averaged_networks_and_what_its_executor_acts_on(name: str, context: str) -> None:
    method, _ = build(name)
    assert method.pair is method.averaged and method.context == context


def test_random_has_no_explorer_to_train() -> None:
    method, _ = build("random")
    assert method.networks.explorer is None and method.averaged.explorer is None
    assert not any("explorer" in name for name in method.weights())


@pytest.mark.parametrize("env", ["map", "cooking"])
@pytest.mark.parametrize("method", PAIRS)
def test_no_id_reaches_a_test_trial(method: str, env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = trained(method, env=env, bottleneck__init_scale=5.0)
    ids = loop.env.problems.sample("test", 12, np.random.default_rng(0))
    honest = play(loop.method, loop.env, ids)
    other = Relabelled(loop.env)
    assert (other.labels(ids) != ids).mean() > 0.8
    relabelled = play(loop.method, other, other.labels(ids))
    given = method in ("oracle", "contextual")
    if given:
        assert not same(relabelled, honest)
    else:
        assert same(relabelled, honest)

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("f was asked at test time")

    for networks in (loop.method.averaged, loop.method.networks):
        monkeypatch.setattr(networks.f, "forward", refuse)
    if given:
        with pytest.raises(AssertionError, match="f was asked"):
            play(loop.method, loop.env, ids)
    else:
        assert same(play(loop.method, loop.env, ids), honest)


@pytest.mark.parametrize("method", PAIRS)
def test_exploring_does_not_change_the_instructions_of_an_evaluation(method: str) -> None:
    """Explorers draw nothing from the environment's generator, which draws instructions."""
    loop = Loop(*build(method, env="map", trial__explore_episodes=2))
    ids = loop.env.problems.sample("test", 12, np.random.default_rng(0))
    loop.env.reset(seed=5)
    before = deepcopy(loop.env.np_random.bit_generator.state)
    loop.method.explore(loop.env, ids, torch.Generator().manual_seed(5))
    assert loop.env.np_random.bit_generator.state == before


@pytest.mark.parametrize("method", ["posterior", "random", "count"])
def test_two_exploration_episodes_are_one_stream(method: str) -> None:
    loop = trained(method, trial__explore_episodes=2)
    explore = play(loop.method, loop.env, np.arange(12) % 2).explore
    assert (explore.start.sum(1) == 2).all() and (explore.reset_step.sum(1) == 1).all()
    begins = explore.obs[:, :-1][explore.start]
    assert (begins[:, 0] == 2).all() and (begins[:, 1] == 0).all()


def test_parts_of_explorations_are_executed_on_samples_from_the_posterior_and_learned_from_on_the_same() -> None:
    """Product of Gaussians by hand: each transition of the part has one factor, the prior another."""
    shares = {"executor__id_fraction": 0.25, "executor__empty_fraction": 0.3, "executor__prefix_fraction": 0.4}
    loop = trained("posterior", env="map", learning__num_envs=40, **shares)
    net = loop.method.networks
    trials = loop.method.collect(loop.env, np.arange(40) % 24, loop.generator)
    steps, length = trials.decoded_steps, trials.explore.length
    assert trials.noise is not None and trials.fresh is not None and trials.fresh.z is not None
    features = net.g.transitions(trials.explore)
    z = net.decode(trials.explore, steps.clamp(min=0), trials.noise)
    kinds = {"nothing": 0, "part": 0, "whole": 0}
    for i in range(40):
        t = int(steps[i])
        if t < 0:
            continue
        kind = "whole" if t == int(length[i]) else "part" if t else "nothing"
        kinds[kind] += 1
        expected = net.g(trials.explore)[i, t]
        if kind != "whole":
            precision = [net.posterior.prior_log_precision.exp()]
            weighted = [precision[0] * net.posterior.prior_mean]
            for step in range(t):
                mean, log_precision = net.posterior.factor(features[i, step + 1]).chunk(2)
                precision.append(log_precision.exp())
                weighted.append(mean * log_precision.exp())
            total = torch.stack(precision).sum(0)
            expected = torch.stack(weighted).sum(0) / total + trials.noise[i] / total.sqrt()
        for given in (z[i], trials.fresh.z[i]):
            torch.testing.assert_close(given.detach(), expected.detach(), rtol=1e-3, atol=1e-4)
    assert min(kinds.values()) >= 5
    drawn = loop.replay.sample_decoded(20)  # the replay keeps what chose the sample
    assert drawn.noise is not None and drawn.noise.shape == (20, loop.method.config.bottleneck.z_dim)
    assert trained("dream").rounds(1).noise is None


def test_posterior_sampling_acts_on_a_new_sample_in_each_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = trained("posterior", trial__explore_episodes=2)
    net, drawn, given = loop.method.averaged, [], []
    assert net.posterior is not None
    sample, step = net.posterior.sample, net.executor.step

    def spy_sample(features: Tensor | None, explore: Episodes | None, noise: Tensor) -> Tensor:
        drawn.append((explore, sample(features, explore, noise)))
        return drawn[-1][1]

    def spy_step(obs: Tensor, previous: Tensor, instruction: Tensor, z: Tensor, memory: Any) -> Any:
        given.append(z)
        return step(obs, previous, instruction, z, memory)

    monkeypatch.setattr(net.posterior, "sample", spy_sample)
    monkeypatch.setattr(net.executor, "step", spy_step)
    loop.env.reset(seed=5)
    explore = loop.method.explore(loop.env, np.arange(12) % 2, torch.Generator().manual_seed(5))
    (first_seen, first), (second_seen, second) = drawn
    assert first_seen is None and torch.equal(second_seen.obs, explore.obs[:, : second_seen.obs.shape[1]])
    assert not torch.allclose(first, second)
    assert torch.equal(given[0], first) and torch.equal(given[-1], second)


# -- the scale of rewards ----------------------------------------------------------------------------------------


def scales(method: str, amounts: list[float], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The running scale after updates in which every trial is rewarded with one amount, at its first step."""
    loop = trained(method, rounds=1)
    monkeypatch.setattr(loop.method.losses, "reward_scale", torch.zeros(()))
    found = []
    for amount in amounts:
        earned = torch.tensor(amount)
        reward = FunctionReward(lambda trials, belief, earned=earned: trials.explore.start * earned)  # type: ignore[misc]
        monkeypatch.setattr(loop.method.losses, "reward", reward)
        metrics = loop.method.update(loop.replay, 0.0, loop.generator)
        assert torch.isfinite(metrics["loss/explorer"])
        found.append(float(loop.method.losses.reward_scale))
    return found


def test_rewards_are_scaled_by_a_running_mean_which_batches_without_reward_leave_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = [0.0, 2.0, 2.0, 2.0 - 0.01 * 1.5, 1.985 + 0.01 * 10.015]
    assert scales("count", [0.0, 2.0, 0.0, 0.5, -12.0], monkeypatch) == pytest.approx(expected)


def test_the_scale_of_outcomes_never_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scales("first-explore", [2.0, *[0.001] * 5, 12.0], monkeypatch) == pytest.approx([2.0] * 6 + [2.1])


def test_a_reward_is_scaled_by_the_sum_of_its_sizes_in_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """+1 and -1 in one trial are no trial without reward; and what is left outside the mask does not count."""
    loop = trained("count", rounds=1)
    method, drawn = loop.method, []

    def reward(trials: Trials, belief: Belief) -> Tensor:
        drawn.append(trials)
        alternating = torch.where(torch.arange(trials.explore.mask.shape[1]) % 2 == 0, 1.0, -1.0)
        return torch.where(trials.explore.mask, alternating, 1e9)

    monkeypatch.setattr(method.losses, "reward", FunctionReward(reward))
    monkeypatch.setattr(method.losses, "reward_scale", torch.zeros(()))
    metrics = method.update(loop.replay, 0.0, loop.generator)
    assert float(method.losses.reward_scale) == pytest.approx(float(drawn[0].explore.mask.sum(1).float().mean()))
    assert torch.isfinite(metrics["loss/explorer"]) and metrics["explore/return"].abs() <= 1.0


def test_a_reward_of_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = trained("count")
    reward = FunctionReward(lambda trials, belief: torch.ones(len(trials.problem_id)))
    monkeypatch.setattr(loop.method.losses, "reward", reward)
    with pytest.raises(UserError, match=r"exploration reward of count is of shape \(8,\): it must return one number"):
        loop.rounds(1)


# -- state -------------------------------------------------------------------------------------------------------


def test_weights_come_back() -> None:
    loop = trained()
    other, _ = build(seed=9)
    other.load_weights({name: value.clone() for name, value in loop.method.weights().items()})
    ids = np.arange(12) % 2
    assert same(play(other, loop.env, ids), play(loop.method, loop.env, ids))
    assert same(*(m.collect(loop.env, ids, torch.Generator().manual_seed(0)) for m in (other, loop.method)))


def test_weights_of_another_shape_or_method_are_refused() -> None:
    method, _ = build()
    with pytest.raises(RuntimeError, match="size mismatch"):
        method.load_weights(build(network__width=9)[0].weights())
    with pytest.raises(RuntimeError, match=r"Missing key.*explorer"):
        method.load_weights(build("none")[0].weights())


@pytest.mark.parametrize("method", PAIRS)
def test_training_resumes_from_weights_and_state(method: str) -> None:
    loop = trained(method, rounds=3)
    loop.method.losses.explained = torch.tensor(0.7)  # what opens the explorer's gate is part of the state
    other = Loop(*build(method, seed=9))
    other.method.load_weights({name: value.clone() for name, value in loop.method.weights().items()})
    other.method.load_state_dict(deepcopy(loop.method.state_dict()))
    other.replay.load_state_dict(loop.replay.state_dict())
    other.generator.set_state(loop.generator.get_state())
    other.rng.bit_generator.state = loop.rng.bit_generator.state
    other.training.step = loop.training.step
    assert same(other.rounds(1), loop.rounds(1))
    assert other.metrics == loop.metrics
    assert all(torch.equal(value, other.method.weights()[name]) for name, value in loop.method.weights().items())
