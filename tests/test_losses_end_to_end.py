"""What an update of an end-to-end policy learns from, recomputed stream by stream in plain loops."""

from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import cross_entropy

from dream.core.trial import Trials, concatenate
from dream.execution.stream import StepInputs, TrialStream, trial_stream
from tests.reference import RecordingReplay, q_targets
from tests.small_training import Loop, build

EXPLORE_GAMMA, GAMMA, TRACE, IMPORT_WEIGHT, KL_WEIGHT = 0.9, 0.7, 0.6, 3.0, 0.5
PREFIXES = 3
COUNT = 8 // 2 + 6
"""Trials in an update: as many streams as an update of a pair replays."""
POLICIES = ["rl2", "e-rl2", "import", "varibad"]


class Update:
    """One update of a policy whose online and averaged networks differ, and everything it depended on."""

    def __init__(self, name: str, **changes: Any):
        settings: dict[str, Any] = {
            "env": "map",
            "trial__explore_episodes": 2,
            "trial__execute_episodes": 2,
            "bottleneck__init_scale": 1.0,
            "executor__gamma": GAMMA,
            "executor__lambda_": TRACE,
            "end_to_end__explore_gamma": EXPLORE_GAMMA,
            "end_to_end__priority_exponent": 0.4,
            "end_to_end__import_weight": IMPORT_WEIGHT,
            "end_to_end__kl_weight": KL_WEIGHT,
            "end_to_end__elbo_prefixes": PREFIXES,
            "learning__explore_batch_size": 8,
            "learning__execute_batch_size": 6,
            "learning__max_grad_norm": 1e9,
        }
        method, env = build(name, **{**settings, **changes})
        loop = Loop(method, env)
        loop.training.replay = self.replay = RecordingReplay(64, 0)
        loop.rounds(2)
        noise = torch.Generator().manual_seed(3)
        with torch.no_grad():  # a loss that reads the wrong one of the two is far off
            for parameter in method.averaged.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=noise))
        self.method, self.net, self.average = method, deepcopy(method.networks), deepcopy(method.averaged)
        self.replay.calls.clear()
        self.metrics: dict[str, Tensor] = method.update(self.replay, 0.25, torch.Generator().manual_seed(11))
        drawn = [trials for called, _, (trials, _) in self.replay.calls[:-1] if called == "sample_by_priority"]
        self.trials = drawn[0] if len(drawn) == 1 else both(*drawn)
        self.rows = torch.cat([drawn[1] for called, _, drawn in self.replay.calls if called == "sample_by_priority"])
        self.own = len(drawn[0].problem_id)
        self.stream = trial_stream(self.trials, method.layout)
        self.sizes = env.single_observation_space.nvec.tolist()
        self.factors = torch.from_numpy(env.problems.factor_table)[self.trials.problem_id]
        self.seen = self.net.encode_frames(self.stream.episodes.obs, self.stream.episodes.observed)

    def contexts(self, networks: Any, informed: bool = False) -> Tensor:
        """What the policy is given at every observation, (N, T + 1, Z)."""
        if informed:
            return networks.f(self.factors)[:, None].expand(-1, self.seen.shape[1], -1)
        return networks.contexts(self.seen, self.stream.inputs)

    def errors(self, rows: range, informed: bool = False) -> list[list[Tensor]]:
        """Errors of each step of some trials, reset steps left out: online values less targets."""
        online, target = (
            net.act(self.seen, self.stream.inputs, self.contexts(net, informed)) for net in (self.net, self.average)
        )
        return [stream_errors(self.stream, i, online[i], target[i].detach()) for i in rows]


def both(first: Trials, second: Trials) -> Trials:
    return Trials(
        torch.cat([first.problem_id, second.problem_id]),
        concatenate(first.explore, second.explore),
        concatenate(first.execute, second.execute),
        torch.cat([first.used_id, second.used_id]),
    )


def stream_errors(stream: TrialStream, i: int, online: Tensor, target: Tensor) -> list[Tensor]:
    episodes = stream.episodes
    length, action = int(episodes.mask[i].sum()), episodes.action[i]
    resets = {t - 1 for t in range(1, length) if episodes.start[i, t]}
    done = {t for t in range(length) if stream.terminated[i, t]}
    gamma = [EXPLORE_GAMMA if stream.exploring[i, t] else GAMMA for t in range(length)]
    for t in resets:
        gamma[t] = 1.0
    targets = q_targets(online, target, action, stream.reward[i].numpy(), done, gamma, TRACE, resets)
    return [online[t, action[t]] - targets[t] for t in range(length) if t not in resets]


def half_mean_square(errors: list[list[Tensor]]) -> Tensor:
    return 0.5 * (torch.stack([error for trial in errors for error in trial]) ** 2).mean()


@cache
def update_of(name: str) -> Update:
    return Update(name)


def equal(got: Tensor, expected: Tensor | float | np.floating) -> None:
    assert float(got.detach()) == pytest.approx(float(expected), rel=2e-4, abs=1e-6)


EVERY = pytest.mark.parametrize("name", POLICIES)


@EVERY
def test_trials_are_drawn_by_priority_and_get_their_largest_error(name: str) -> None:
    update = update_of(name)
    draws = [arguments for called, arguments, _ in update.replay.calls if called == "sample_by_priority"]
    if name == "import":
        assert draws == [(COUNT - COUNT // 3, 0.4, True), (COUNT // 3, 0.4)]
        assert not update.trials.used_id[: update.own].any()
    else:
        assert draws == [(COUNT, 0.4)]
    rows, priority = update.replay.arguments("set_priority")
    assert torch.equal(rows, update.rows)
    errors = update.errors(range(update.own))
    if name == "import":
        errors += update.errors(range(update.own, COUNT), informed=True)
    expected = [max(abs(float(error.detach())) for error in trial) for trial in errors]
    np.testing.assert_allclose(priority.numpy(), expected, rtol=2e-3, atol=1e-5)


@EVERY
def test_the_policy_learns_from_the_averaged_networks(name: str) -> None:
    update = update_of(name)
    equal(update.metrics["loss/policy"], half_mean_square(update.errors(range(update.own))).detach())


@EVERY
def test_the_value_is_that_of_the_first_observation_of_a_trial(name: str) -> None:
    update = update_of(name)
    rows = range(update.own)
    online, target = (
        net.act(update.seen, update.stream.inputs, update.contexts(net))[: len(rows), 0].detach()
        for net in (update.net, update.average)
    )
    equal(update.metrics["execute/value"], target.gather(1, online.argmax(-1)[:, None]).mean())


@EVERY
def test_lengths_and_amounts_of_data_are_counted(name: str) -> None:
    update = update_of(name)
    explore, execute = update.trials.explore, update.trials.execute
    steps = int((explore.mask & ~explore.reset_step).sum())
    equal(update.metrics["explore/length"], steps / COUNT)
    equal(update.metrics["replay/transitions"], steps + int(execute.mask.sum()))
    equal(update.metrics["replay/streams"], COUNT + 2 * COUNT)


@pytest.mark.parametrize("name", ["rl2", "e-rl2"])
def test_the_gradient_of_a_recurrent_policy_is_that_of_its_loss(name: str) -> None:
    update = update_of(name)
    same_gradients(update, half_mean_square(update.errors(range(COUNT))))


def test_the_informed_policy_of_import_learns_from_all_trials() -> None:
    update = update_of("import")
    equal(update.metrics["loss/informed"], half_mean_square(update.errors(range(COUNT), informed=True)).detach())


def test_the_gradient_of_import_is_that_of_its_three_losses() -> None:
    """The distance, with half its weight, moves the memory and not the code, and only on trials the memory played."""
    update = update_of("import")
    code, said = update.net.f(update.factors).detach(), update.contexts(update.net)
    lengths = update.stream.episodes.mask.sum(1).tolist()
    distances = [((said[i, : lengths[i] + 1] - code[i]) ** 2).sum(-1) for i in range(update.own)]
    distance = torch.cat(distances).mean()
    equal(update.metrics["loss/distance"], distance.detach())
    loss = half_mean_square(update.errors(range(update.own)))
    loss = loss + half_mean_square(update.errors(range(COUNT), informed=True)) + 0.5 * IMPORT_WEIGHT * distance
    same_gradients(update, loss)
    equal(update.metrics["bottleneck/spread"], np.sqrt(code.numpy().var(0, ddof=1).sum()))


@pytest.mark.parametrize(("learns_from", "weight"), [("elbo", 1.0), ("both", 0.3)])
def test_the_gradient_of_varibad_is_that_of_its_policy_and_of_the_elbo(learns_from: str, weight: float) -> None:
    update = Update("varibad", end_to_end__belief_learns_from=learns_from, end_to_end__elbo_weight=weight)
    negative, metrics = update.net.negative_elbo(
        update.stream, update.seen, update.contexts(update.net), update.method.config, torch.Generator().manual_seed(11)
    )
    equal(update.metrics["belief/outcome_nats"], metrics["belief/outcome_nats"])
    same_gradients(update, half_mean_square(update.errors(range(COUNT))) + weight * negative)


def test_the_elbo_of_varibad_by_hand() -> None:
    """Beliefs after random prefixes decode every transition of the trial; the KL is that of each step to the next."""
    update = update_of("varibad")
    net, episodes, stream = update.net, update.stream.episodes, update.stream
    draws = torch.Generator().manual_seed(11)
    share = torch.rand(COUNT, PREFIXES, generator=draws)
    noise = torch.randn(COUNT, PREFIXES, update.method.config.bottleneck.z_dim, generator=draws)
    belief = update.contexts(net).detach()
    assert net.outcome.after is None and net.reward.after is not None  # observations are not decoded from themselves
    outcomes, rewards, kls, deviations, steps = [], [], [], [], 0
    for i in range(COUNT):
        length = int(episodes.mask[i].sum())
        moves = [t for t in range(length) if not episodes.reset_step[i, t]]
        steps += len(moves)
        seen = update.seen[i : i + 1].chunk(2, -1)[0]
        before, after, action = seen[:, moves], seen[:, [t + 1 for t in moves]], episodes.action[i : i + 1, moves]
        inputs = StepInputs(*(part[i : i + 1, moves] for part in stream.inputs))
        next_obs = episodes.obs[i, [t + 1 for t in moves]].long()
        for p in range(PREFIXES):
            mean, log_deviation = belief[i, int(share[i, p] * (length + 1))].chunk(2)
            z = (mean + noise[i, p] * log_deviation.exp())[None, None]
            logits = net.outcome(before, action, inputs, z)[0, 0].split(update.sizes, -1)
            outcomes += [cross_entropy(part, next_obs[:, c], reduction="sum") for c, part in enumerate(logits)]
            predicted = net.reward(before, action, inputs, z, after)[0, 0, :, 0]
            rewards.append(0.5 * (((predicted - stream.reward[i, moves]) / 0.25) ** 2).sum())
        prior = Normal(torch.zeros(len(mean)), torch.ones(len(mean)))
        for t in range(length + 1):
            mean, log_deviation = belief[i, t].chunk(2)
            posterior = Normal(mean, log_deviation.exp())
            kls.append(kl_divergence(posterior, prior).sum())
            deviations.append(log_deviation.exp().mean())
            prior = posterior
    outcome, reward = torch.stack(outcomes).sum() / (COUNT * PREFIXES), torch.stack(rewards).sum() / (COUNT * PREFIXES)
    kl = torch.stack(kls).mean()
    equal(update.metrics["belief/outcome_nats"], outcome.detach())
    equal(update.metrics["belief/reward_nats"], reward.detach())
    equal(update.metrics["belief/kl_nats"], kl)
    equal(update.metrics["belief/deviation"], torch.stack(deviations).mean())
    negative, _ = net.negative_elbo(
        stream, update.seen, belief, update.method.config, torch.Generator().manual_seed(11)
    )
    equal(negative, ((outcome + reward + KL_WEIGHT * kl) / (steps / COUNT)).detach())


def test_frames_are_decoded_with_a_gaussian_around_their_pooled_colours() -> None:
    method, _ = build("varibad", env="sign", learning__num_envs=2)
    decoder = method.networks.outcome
    with torch.no_grad():
        decoder.out.weight.zero_()
        decoder.out.bias.copy_(torch.linspace(-0.5, 0.5, 15 * 20 * 3))
    frames = torch.randint(256, (2, 3, 60, 80, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    zero = torch.zeros(2, 3, dtype=torch.int64)
    inputs = StepInputs(zero, zero.bool(), zero.bool(), torch.zeros(2, 3, 1, dtype=torch.int64), zero.float())
    seen = torch.zeros(2, 3, decoder.before.in_features)
    nats = decoder.nats(seen, frames, zero, inputs, torch.zeros(2, 2, 4))
    colours = frames.float().view(2, 3, 15, 4, 20, 4, 3).mean((3, 5)) / 255 - 0.5  # means of 4 x 4 pixels
    expected = 0.5 * ((colours.permute(0, 1, 4, 2, 3).flatten(2) - decoder.out.bias) ** 2).sum(-1)
    torch.testing.assert_close(nats, expected.detach()[:, None].expand(2, 2, 3), rtol=1e-4, atol=1e-4)


def same_gradients(update: Update, loss: Tensor) -> None:
    names, parameters = zip(*update.net.named_parameters(), strict=True)
    got = dict(update.method.networks.named_parameters())
    moved = 0
    for name, expected in zip(names, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
        if expected is None:
            assert got[name].grad is None or not got[name].grad.any(), name
            continue
        torch.testing.assert_close(got[name].grad, expected, rtol=5e-3, atol=5e-5, msg=name)
        moved += bool(expected.any())
    assert moved > 10


@EVERY
def test_gradients_are_clipped_to_their_largest_norm(name: str) -> None:
    free, clipped = (
        [float(torch.cat([p.grad.flatten() for p in group if p.grad is not None]).norm()) for group in net.groups()]
        for net in (update_of(name).method.networks, Update(name, learning__max_grad_norm=1e-3).method.networks)
    )
    assert min(free) > 1e-2
    np.testing.assert_allclose(clipped, 1e-3, rtol=1e-2)


@EVERY
def test_all_networks_are_decayed(name: str) -> None:
    method, _ = build(name, learning__weight_decay=0.25)
    (group,) = method.optimizers["optimizer"].param_groups
    assert group["weight_decay"] == 0.25
    assert len(group["params"]) == len(list(method.networks.parameters()))
