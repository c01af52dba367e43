"""What PPO learns from in a pair and in a policy of two inputs, recomputed stream by stream in plain loops.

Each round has one gradient step on all of its trials, so that the weights before it are those that acted.
"""

import math
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical

from dream.core.trial import Episodes, Trials
from dream.execution.stream import trial_stream
from tests.small_training import Loop, build

GAMMA, EXPLORE_GAMMA, TRACE, CLIP, VALUE_WEIGHT, ENTROPY_WEIGHT = 0.8, 0.9, 0.7, 0.3, 0.6, 0.02
NOISE, RATE_WEIGHT, STEP_COST, MEMBERS = 0.5, 0.3, 0.05, 12
EXPLAINED = 0.4
PROGRESS, FALLEN = 0.5, 0.75  # half-way the learning rate, and with it the weight of the entropy, is three quarters
ONCE: dict[str, Any] = {
    "env": "map",
    "trial__explore_episodes": 2,
    "trial__execute_episodes": 2,
    "bottleneck__init_scale": 1.0,
    "bottleneck__noise_std": NOISE,
    "bottleneck__rate_weight": RATE_WEIGHT,
    "explorer__step_cost": STEP_COST,
    "explorer__gamma": GAMMA,
    "explorer__min_explained": -1.0,
    "executor__gamma": GAMMA,
    "executor__id_fraction": 0.5,
    "end_to_end__explore_gamma": EXPLORE_GAMMA,
    "end_to_end__id_fraction": 0.5,
    "end_to_end__import_weight": 0.0,
    "ppo__epochs": 1,
    "ppo__minibatches": 1,
    "ppo__clip_range": CLIP,
    "ppo__gae_lambda": TRACE,
    "ppo__value_weight": VALUE_WEIGHT,
    "learning__num_envs": MEMBERS,
    "learning__max_grad_norm": 1e9,
    "learning__learning_rate": 2e-3,
    "learning__final_learning_rate": 1e-3,
    **{f"{policy}__learner": "ppo" for policy in ("explorer", "executor", "end_to_end")},
    **{f"{policy}__entropy_weight": ENTROPY_WEIGHT for policy in ("explorer", "executor", "end_to_end")},
}


class Returns:
    """Running mean and deviation of returns, from the buffers of a method before an update."""

    def __init__(self, norm: Any):
        self.weight, self.mean, self.square = (float(getattr(norm, name)) for name in ("weight", "mean", "square"))
        self.rate = norm.rate

    @property
    def statistics(self) -> tuple[float, float]:
        if self.weight == 0:
            return 0.0, 1.0
        mean = self.mean / self.weight
        return mean, math.sqrt(max(self.square / self.weight - mean**2, 1e-4))

    def add(self, returns: list[float]) -> None:
        for name, now in (("weight", 1.0), ("mean", np.mean(returns)), ("square", np.mean(np.square(returns)))):
            setattr(self, name, (1 - self.rate) * getattr(self, name) + self.rate * float(now))


def advantages(
    value: list[float], reward: list[float], gamma: list[float], done: bool, resets: set[int]
) -> list[float]:
    """Of one stream: A_t = delta_t + gamma_t lambda A_t+1; a reset passes on the value and the advantage after it."""
    steps, value = len(reward), list(value)
    for t in resets:
        value[t] = reward[t] + value[t + 1]
    found, after = [0.0] * steps, 0.0
    for t in reversed(range(steps)):
        following = 0.0 if done and t == steps - 1 else value[t + 1]
        if t not in resets:
            carried = after if t + 1 < steps else 0.0
            after = reward[t] + gamma[t] * following - value[t] + gamma[t] * TRACE * carried
        found[t] = after
    return found


def ppo(
    out: list[Tensor],
    actions: list[list[int]],
    rewards: list[list[float]],
    gammas: list[list[float]],
    done: list[bool],
    resets: list[set[int]],
    returns: Returns,
) -> Tensor:
    """The loss of streams whose policy is the one that acted, each with outputs (T + 1, A + 1)."""
    mean, deviation = returns.statistics
    raw: list[tuple[int, int, float, float]] = []
    for i, one in enumerate(out):
        value = (one[:, -1].detach() * deviation + mean).tolist()
        found = advantages(value, rewards[i], gammas[i], done[i], resets[i])
        raw += [(i, t, a, a + value[t]) for t, a in enumerate(found) if t not in resets[i]]
    returns.add([target for *_, target in raw])
    mean, deviation = returns.statistics
    every = np.array([advantage for _, _, advantage, _ in raw])
    terms = []
    for i, t, advantage, target in raw:
        policy = Categorical(logits=out[i][t, :-1])
        log_prob = policy.log_prob(torch.tensor(actions[i][t]))
        ratio = (log_prob - log_prob.detach()).exp()  # 1, with a gradient
        standard = float((advantage - every.mean()) / (every.std() + 1e-8))
        error = out[i][t, -1] - (target - mean) / deviation
        terms.append(-ratio * standard + VALUE_WEIGHT * 0.5 * error**2 - ENTROPY_WEIGHT * FALLEN * policy.entropy())
    return torch.stack(terms).mean()


class Update:
    """The on-policy update of one round, and everything it depended on."""

    def __init__(self, name: str, **changes: Any):
        method, env = build(name, **{**ONCE, **changes})
        Loop(method, env).rounds(2)
        generator = torch.Generator().manual_seed(1)
        ids = env.problems.sample("train", MEMBERS, np.random.default_rng(1))
        self.trials: Trials = method.collect(env, ids, generator)
        self.factors = torch.from_numpy(env.problems.factor_table)[self.trials.problem_id]
        self.net, self.before = deepcopy(method.networks), deepcopy(method.modules())
        self.scale = float(method.losses.reward_scale) if name != "import" else 0.0
        if name != "import":
            method.losses.explained.fill_(EXPLAINED)
        for parameter in method.networks.parameters():
            parameter.grad = None
        (self.metrics,) = method.update_on_policy(self.trials, PROGRESS, generator)
        self.method = method

    def same_gradients(self, loss: Tensor) -> None:
        names, parameters = zip(*self.net.named_parameters(), strict=True)
        got, moved = dict(self.method.networks.named_parameters()), 0
        for name, expected in zip(names, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
            if expected is None:
                assert got[name].grad is None or not got[name].grad.any(), name  # type: ignore[union-attr]
                continue
            torch.testing.assert_close(got[name].grad, expected, rtol=5e-3, atol=5e-5, msg=name)
            moved += bool(expected.any())
        assert moved > 15


def lists(episodes: Episodes, i: int) -> tuple[int, list[int], set[int]]:
    """Length, actions and reset steps of a stream."""
    length = int(episodes.mask[i].sum())
    resets = {t - 1 for t in range(1, length) if episodes.start[i, t]}
    return length, episodes.action[i, :length].tolist(), resets


@cache
def dream_update() -> Update:
    return Update("dream")


def explorer_loss(update: Update) -> Tensor:
    """The fall of |f - g|^2 / (2 rho^2), as a share of the running mean of the available nats, less a step's cost."""
    net, explore = update.net, update.trials.explore
    code, prefixes = net.f(update.factors).detach(), net.g(explore).detach()
    nats = ((code[:, None] - prefixes) ** 2).sum(-1).numpy() / (2 * NOISE**2)
    scale = update.scale + 0.01 * (float(nats[:, 0].mean()) - update.scale)
    seen = net.explorer.encode_frames(explore.obs, explore.observed, net.g.frames)
    whole = net.explorer(explore, seen)
    out, actions, rewards, gammas, resets = [], [], [], [], []
    for i in range(MEMBERS):
        length, action, reset = lists(explore, i)
        cost = [0.0 if t in reset else STEP_COST * EXPLAINED for t in range(length)]
        rewards.append([float(nats[i, t] - nats[i, t + 1]) / scale - cost[t] for t in range(length)])
        out.append(whole[i, : length + 1])
        actions.append(action)
        gammas.append([GAMMA] * length)
        resets.append(reset)
    ended = [True] * MEMBERS  # the end of an exploration is final
    return ppo(out, actions, rewards, gammas, ended, resets, Returns(update.before["online"].explorer_returns))


def executor_loss(update: Update) -> Tensor:
    """On f(mu) plus the noise of the trial where the executor acted on it, else on the g(tau) that it acted on."""
    net, trials = update.net, update.trials
    assert trials.fresh is not None and trials.fresh.z is not None
    code = net.f(update.factors)
    noise = trials.fresh.z - code.detach()
    z = torch.where(trials.used_id[:, None], code + noise, trials.fresh.z)
    out, actions, rewards, gammas, done, resets = [], [], [], [], [], []
    for stream in range(2 * MEMBERS):
        episode = trials.execute.select(torch.tensor([stream]))
        length, action, reset = lists(episode, 0)
        outputs = net.executor(episode, net.executor.encode_frames(episode), z[stream // 2 : stream // 2 + 1])
        out.append(outputs[0, : length + 1])
        actions.append(action)
        rewards.append(episode.reward[0, :length].tolist())
        gammas.append([GAMMA] * length)
        done.append(bool(episode.terminated[0, length - 1]))
        resets.append(reset)
    return ppo(out, actions, rewards, gammas, done, resets, Returns(update.before["online"].executor_returns))


def rate(update: Update) -> Tensor:
    return 0.5 * (update.net.f(update.factors) ** 2).sum(-1).mean()


def equal(got: Tensor, expected: Tensor) -> None:
    assert float(got.detach()) == pytest.approx(float(expected.detach()), rel=1e-3, abs=1e-5)


def test_a_pair_acts_on_both_codes_with_the_noise_of_the_bottleneck() -> None:
    trials, update = dream_update().trials, dream_update()
    assert trials.fresh is not None and trials.fresh.z is not None and trials.fresh.explored
    assert int(trials.used_id.sum()) == MEMBERS // 2
    assert trials.explore.reset_step.any() and len(set(trials.explore.length.tolist())) > 1
    code, prefixes = update.net.f(update.factors).detach(), update.net.g(trials.explore).detach()
    decoded = prefixes[torch.arange(MEMBERS), trials.decoded_steps]
    torch.testing.assert_close(trials.fresh.z[~trials.used_id], decoded[~trials.used_id], rtol=1e-3, atol=1e-4)
    noise = (trials.fresh.z - code)[trials.used_id]
    assert 0.5 * NOISE < float(noise.std()) < 1.5 * NOISE


def test_the_explorer_of_a_pair_learns_the_information_reward() -> None:
    equal(dream_update().metrics["loss/explorer"], explorer_loss(dream_update()))


def test_the_executor_of_a_pair_learns_the_execution_reward() -> None:
    equal(dream_update().metrics["loss/executor"], executor_loss(dream_update()))
    equal(dream_update().metrics["bottleneck/rate"], rate(dream_update()))


def test_the_gradient_of_a_pair_reaches_f_through_z_and_not_g() -> None:
    update = dream_update()
    loss = explorer_loss(update) + executor_loss(update) + RATE_WEIGHT * rate(update)
    update.same_gradients(loss)
    for parameter in update.method.networks.f.parameters():
        assert parameter.grad is not None and parameter.grad.any()
    assert not any(parameter.grad is not None for parameter in update.method.networks.g.parameters())
    # What f is moved by is more than the rate
    free = torch.autograd.grad(executor_loss(update), list(update.net.f.parameters()))
    assert all(gradient.any() for gradient in free)


def test_a_policy_of_two_inputs_learns_on_what_each_trial_was_played_on() -> None:
    update = Update("import")
    trials, net = update.trials, update.net
    used = trials.used_id.tolist()
    assert 0 < sum(used) < MEMBERS
    stream = trial_stream(trials, update.method.layout)
    episodes, inputs = stream.episodes, stream.inputs
    seen = net.encode_frames(episodes.obs, episodes.observed)
    on_memory = net.act(seen, inputs, net.contexts(seen, inputs))
    on_code = net.act(seen, inputs, net.f(update.factors)[:, None].expand(-1, seen.shape[1], -1))
    out, actions, rewards, gammas, done, resets = [], [], [], [], [], []
    for i in range(MEMBERS):
        length, action, reset = lists(episodes, i)
        out.append((on_code if used[i] else on_memory)[i, : length + 1])
        actions.append(action)
        exploring = stream.exploring[i].tolist()
        rewards.append([0.0 if exploring[t] else float(episodes.reward[i, t]) for t in range(length)])
        gammas.append([EXPLORE_GAMMA if exploring[t] else GAMMA for t in range(length)])
        done.append(bool(stream.terminated[i, length - 1]))
        resets.append(reset)
    loss = ppo(out, actions, rewards, gammas, done, resets, Returns(update.before["returns"]))
    equal(update.metrics["loss/policy"], loss)
    update.same_gradients(loss)


@pytest.mark.parametrize("name", ["dream", "import"])
def test_the_same_seed_learns_the_same_weights(name: str) -> None:
    one, two = (Update(name, ppo__epochs=1).method.weights() for _ in range(2))
    assert all(torch.equal(value, two[key]) for key, value in one.items())


def test_each_pass_goes_through_all_trials_in_parts() -> None:
    method, env = build("dream", **{**ONCE, "ppo__epochs": 3, "ppo__minibatches": 4})
    Loop(method, env).rounds(1)
    trials = method.collect(env, np.arange(MEMBERS), torch.Generator().manual_seed(0))
    metrics = method.update_on_policy(trials, 0.5, torch.Generator().manual_seed(0))
    assert len(metrics) == 3 * 4
    streams = [float(part["replay/streams"]) for part in metrics]
    assert sum(streams[:4]) == MEMBERS * (1 + 2)
    assert float(metrics[0]["executor/kl"]) == pytest.approx(0.0, abs=1e-6)  # nothing has changed yet
    assert float(metrics[-1]["executor/kl"]) > 0.0


def test_an_explorer_that_did_not_act_does_not_learn() -> None:
    """While random actions explore, for want of anything that g explains, only the executor learns."""
    method, env = build("dream", **{**ONCE, "explorer__min_explained": 0.99})
    trials = method.collect(env, np.arange(MEMBERS), torch.Generator().manual_seed(0))
    assert trials.fresh is not None and not trials.fresh.explored
    before = {key: value.clone() for key, value in method.weights().items()}
    (metrics,) = method.update_on_policy(trials, 0.5, torch.Generator().manual_seed(0))
    assert "loss/explorer" not in metrics and "loss/executor" in metrics
    after = method.weights()
    assert not torch.equal(after["online.f.out.weight"], before["online.f.out.weight"])
    explorer = [key for key in after if key.startswith("online.explorer")]
    assert explorer and all(torch.equal(after[key], before[key]) for key in explorer)
