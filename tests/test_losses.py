"""What an update of a pair learns from, recomputed here stream by stream: codes, noise, targets, masks, weights, rows.

`Update` runs one update on a replay that records what is drawn, and keeps the networks as they were before. The losses
are then worked out from equations and plain loops, with other code than the toolkit's.
"""

from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dream.core.trial import Trials
from dream.exploration.base import Belief
from tests.reference import RecordingReplay, q_targets
from tests.small_training import Loop, build

GAMMA, TRACE, NOISE, RATE_WEIGHT, STEP_COST = 0.8, 0.6, 0.5, 0.3, 0.05
GAP = 0.4
EXPLORE_BATCH, TRANSITIONS, EXECUTE_BATCH, PROGRESS = 6, 5, 8, 0.25


class Update:
    """One update of a pair whose online and averaged networks differ, and everything it depended on."""

    def __init__(self, name: str = "dream", **changes: Any):
        settings: dict[str, Any] = {
            "env": "map",
            "trial__explore_episodes": 2,
            "trial__execute_episodes": 2,
            "bottleneck__init_scale": 1.0,
            "bottleneck__noise_std": NOISE,
            "bottleneck__rate_weight": RATE_WEIGHT,
            "explorer__gamma": GAMMA,
            "explorer__lambda_": TRACE,
            "explorer__step_cost": STEP_COST,
            "executor__gamma": GAMMA,
            "executor__lambda_": TRACE,
            "executor__action_gap": GAP,
            "executor__priority_exponent": 0.7,
            "executor__empty_fraction": 0.2,
            "executor__prefix_fraction": 0.6,
            "learning__explore_batch_size": EXPLORE_BATCH,
            "learning__transition_batch_size": TRANSITIONS,
            "learning__execute_batch_size": EXECUTE_BATCH,
            "learning__max_grad_norm": 1e9,
        }
        method, env = build(name, **{**settings, **changes})
        loop = Loop(method, env)
        loop.training.replay = replay = RecordingReplay(64, 0)
        loop.rounds(2)
        self.method, self.replay, self.config = method, replay, method.config
        noise = torch.Generator().manual_seed(3)
        with torch.no_grad():  # a loss that reads the wrong one of the two is far off
            for parameter in method.averaged.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=noise))
        self.net, self.average = deepcopy(method.networks), deepcopy(method.averaged)
        self.reward = deepcopy(method.reward)
        self.factors = torch.from_numpy(env.problems.factor_table)
        method.losses.explained.fill_(0.4)
        self.scale_before, self.explained_before = method.losses.reward_scale.clone(), method.losses.explained.clone()
        self.replay.calls.clear()
        self.generator = torch.Generator().manual_seed(11)
        self.noise = torch.randn(
            EXECUTE_BATCH, method.config.bottleneck.z_dim, generator=torch.Generator().manual_seed(11)
        )
        self.fed: dict[str, Tensor] = {}
        for part, networks in (("online", method.networks), ("averaged", method.averaged)):
            networks.executor.register_forward_hook(self._keep_z(part))
        self.metrics: dict[str, Tensor] = method.update(replay, PROGRESS, self.generator)

    def _keep_z(self, part: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            self.fed[part] = arguments[-1].detach()

        return hook

    # -- the batches -------------------------------------------------------------------------------------------

    @property
    def explored(self) -> Trials:
        return self.replay.drawn("sample")

    @property
    def informed(self) -> Trials:
        return self.replay.drawn("sample_by_priority")[0]

    @property
    def decoded(self) -> Trials:
        return self.replay.drawn("sample_decoded")

    def code(self, networks: Any, problem_id: Tensor) -> Tensor:
        return networks.f(self.factors[problem_id])

    # -- the losses --------------------------------------------------------------------------------------------

    def prefix_errors(self) -> list[Tensor]:
        """|f(mu) - g(tau_:t)|^2 of every prefix of each exploration, with the online networks."""
        code = self.code(self.net, self.explored.problem_id).detach()
        prefixes = self.net.g(self.explored.explore)
        lengths = self.explored.explore.mask.sum(1).tolist()
        return [((prefixes[i, : lengths[i] + 1] - code[i]) ** 2).sum(-1) for i in range(len(lengths))]

    def encoder_loss(self) -> Tensor:
        return 0.5 * torch.cat(self.prefix_errors()).mean()

    def nats(self) -> list[np.ndarray]:
        return [error.detach().numpy() / (2 * NOISE**2) for error in self.prefix_errors()]

    def single_loss(self) -> Tensor:
        problem_id, transition = self.replay.drawn("sample_transitions")
        code = self.code(self.net, problem_id).detach()
        return 0.5 * ((self.net.g.from_single(transition)[:, 0] - code) ** 2).sum(-1).mean()

    def explorer_loss(self, rewards: list[np.ndarray], scale: float) -> Tensor:
        """Half the mean squared error to Q(lambda) targets of the averaged explorer; the end of the stream is final."""
        explore = self.explored.explore
        seen = self.net.g.encode_frames(explore)
        online, target = self.net.explorer(explore, seen), self.average.explorer(explore, seen)
        errors = []
        for i, reward in enumerate(rewards):
            length = len(reward)
            resets = {t - 1 for t in range(1, length) if explore.start[i, t]}
            gamma = [GAMMA] * length
            targets = q_targets(
                online[i], target[i], explore.action[i], reward / scale, {length - 1}, gamma, TRACE, resets
            )
            errors += [online[i, t, explore.action[i, t]] - targets[t] for t in range(length) if t not in resets]
        return 0.5 * (torch.stack(errors) ** 2).mean()

    def executor_errors(self) -> list[list[Tensor]]:
        """Errors of every execution step: informed episodes on noisy codes, then decoded ones on g(exploration)."""
        informed, decoded, n = self.informed, self.decoded, self.config.trial.execute_episodes
        z = self.code(self.net, informed.problem_id) + NOISE * self.noise
        target_z = (self.code(self.average, informed.problem_id) + NOISE * self.noise).detach()
        g = self.net.g(decoded.explore).detach()
        g_z = g[torch.arange(len(g)), decoded.decoded_steps]
        errors = []
        for trials, online_z, averaged_z in ((informed, z, target_z), (decoded, g_z, g_z)):
            for i in range(len(trials.problem_id)):
                for j in range(n):
                    episode = trials.execute.select(torch.tensor([i * n + j]))
                    seen = self.net.executor.encode_frames(episode)
                    online = self.net.executor(episode, seen, online_z[i : i + 1])[0]
                    target = self.average.executor(episode, seen, averaged_z[i : i + 1])[0]
                    length, action = int(episode.mask.sum()), episode.action[0]
                    done = {t for t in range(length) if episode.terminated[0, t]}
                    gamma = [GAMMA] * length
                    targets = q_targets(online, target, action, episode.reward[0].numpy(), done, gamma, TRACE, gap=GAP)
                    errors.append([online[t, action[t]] - targets[t] for t in range(length)])
        return errors

    def executor_loss(self) -> Tensor:
        return 0.5 * (torch.stack([error for episode in self.executor_errors() for error in episode]) ** 2).mean()

    def rate(self) -> Tensor:
        return 0.5 * (self.code(self.net, self.informed.problem_id) ** 2).sum(-1).mean()


@cache
def dream_update() -> Update:
    return Update()


def equal(got: Tensor, expected: Tensor | float | np.floating) -> None:
    expected = expected.detach() if isinstance(expected, Tensor) else expected
    assert float(got) == pytest.approx(float(expected), rel=2e-4, abs=1e-6)


# -- what is drawn from the replay -------------------------------------------------------------------------------


def test_g_and_the_explorer_learn_from_explorations_drawn_evenly() -> None:
    assert dream_update().replay.arguments("sample") == (EXPLORE_BATCH, "explore")


def test_single_transitions_are_drawn_for_the_features_of_g() -> None:
    assert dream_update().replay.arguments("sample_transitions") == (TRANSITIONS,)


def test_informed_executions_are_drawn_by_priority() -> None:
    assert dream_update().replay.arguments("sample_by_priority") == (EXECUTE_BATCH, 0.7, "execute")


def test_executions_on_g_are_drawn_from_trials_that_were_executed_on_g() -> None:
    """In others the actions reveal the problem (docs/learning.md, confounding)."""
    update = dream_update()
    assert update.replay.arguments("sample_decoded") == (EXECUTE_BATCH,)
    assert not update.decoded.used_id.any()
    names = [name for name, _, _ in update.replay.calls]
    assert sorted(names) == sorted(
        ["sample", "sample_transitions", "sample_by_priority", "sample_decoded", "set_priority"]
    )


def test_an_executor_of_f_alone_draws_no_decoded_trials() -> None:
    names = [name for name, _, _ in Update(executor__id_fraction=1.0).replay.calls]
    assert "sample_decoded" not in names and "sample_by_priority" in names


@pytest.mark.parametrize(("name", "count"), [("none", TRANSITIONS), ("oracle", TRANSITIONS), ("dream", 0)])
def test_no_transitions_are_drawn_without_explorations_or_with_a_batch_of_none(name: str, count: int) -> None:
    update = Update(name, learning__transition_batch_size=count)
    assert "sample_transitions" not in [called for called, _, _ in update.replay.calls]
    assert "loss/single" not in update.metrics


@pytest.mark.parametrize("name", ["first-explore", "hyperx"])
def test_a_reward_for_outcomes_is_learned_from_trials_that_were_executed_on_g(name: str) -> None:
    replay = Update(name).replay
    calls = [(called, arguments) for called, arguments, _ in replay.calls if called != "set_priority"]
    assert ("sample_decoded", (EXPLORE_BATCH, "explore", True)) in calls  # whole explorations alone
    assert "sample" not in [called for called, _ in calls]


def test_priorities_are_the_largest_errors_of_the_informed_trials() -> None:
    update = dream_update()
    rows, priority = update.replay.arguments("set_priority")
    assert torch.equal(rows, update.replay.drawn("sample_by_priority")[1])
    episodes = [max(abs(float(error.detach())) for error in errors) for errors in update.executor_errors()]
    expected = [max(episodes[2 * i], episodes[2 * i + 1]) for i in range(EXECUTE_BATCH)]
    np.testing.assert_allclose(priority.numpy(), expected, rtol=2e-3, atol=1e-5)


# -- what the encoders learn from --------------------------------------------------------------------------------


def test_g_predicts_the_code_of_the_online_f_at_every_prefix() -> None:
    update = dream_update()
    lengths = update.explored.explore.mask.sum(1)
    assert lengths.min() < lengths.max()  # padding is there, and does not count
    equal(update.metrics["loss/encoder"], update.encoder_loss())


def test_single_transitions_predict_the_code_of_the_online_f() -> None:
    equal(dream_update().metrics["loss/single"], dream_update().single_loss())


def test_errors_of_g_are_measured_in_nats_before_and_after_exploring() -> None:
    update = dream_update()
    first = np.mean([errors[0] for errors in update.nats()])
    final = np.mean([errors[-1] for errors in update.nats()])
    equal(update.metrics["explore/error_first"], first)
    equal(update.metrics["explore/error_final"], final)
    equal(update.metrics["explore/information"], first - final)


def test_the_explained_share_follows_one_minus_error_over_spread() -> None:
    update = dream_update()
    code = update.code(update.net, update.explored.problem_id).detach().numpy()
    spread = code.var(0, ddof=1).sum() / (2 * NOISE**2)
    now = 1.0 - np.mean([errors[-1] for errors in update.nats()]) / spread
    before = float(update.explained_before)
    equal(update.metrics["explore/explained"], before + 0.02 * (now - before))
    equal(update.method.losses.explained, before + 0.02 * (now - before))


# -- what the explorer learns from -------------------------------------------------------------------------------


def information_rewards(update: Update) -> list[np.ndarray]:
    """Fall of g's error in nats, less the cost of a step, a share of the explained nats; a reset step is free."""
    rewards, scale = [], information_scale(update) * float(update.method.losses.explained)
    for i, errors in enumerate(update.nats()):
        start = update.explored.explore.start[i].numpy()
        cost = [0.0 if t + 1 < len(errors) - 1 and start[t + 1] else STEP_COST * scale for t in range(len(errors) - 1)]
        rewards.append(errors[:-1] - errors[1:] - np.array(cost))
    return rewards


def information_scale(update: Update) -> float:
    """Running mean of the available nats, updated by 1% per batch."""
    before, now = float(update.scale_before), float(np.mean([errors[0] for errors in update.nats()]))
    return before + 0.01 * (now - before)


def test_the_explorer_learns_the_information_reward_from_the_averaged_explorer() -> None:
    update = dream_update()
    rewards, scale = information_rewards(update), information_scale(update)
    assert update.explored.explore.reset_step.any()  # two episodes: a reset step lies between them
    equal(update.method.losses.reward_scale, scale)
    equal(update.metrics["loss/explorer"], update.explorer_loss(rewards, scale))
    found = [errors[0] - errors[-1] for errors in update.nats()]
    equal(update.metrics["explore/return"], np.mean(found))  # without the cost


def test_the_explorers_value_is_reported_in_the_units_of_the_reward() -> None:
    update = dream_update()
    explore = update.explored.explore
    seen = update.net.g.encode_frames(explore)
    best = update.net.explorer(explore, seen)[:, 0].argmax(-1)
    value = update.average.explorer(explore, seen)[:, 0].gather(1, best[:, None]).mean()
    equal(update.metrics["explore/value"], value.detach() * information_scale(update))


def test_lengths_and_amounts_of_data_are_counted() -> None:
    update = dream_update()
    explore, informed, decoded = update.explored.explore, update.informed.execute, update.decoded.execute
    steps = int((explore.mask & ~explore.reset_step).sum())
    equal(update.metrics["explore/length"], steps / EXPLORE_BATCH)
    equal(update.metrics["replay/transitions"], steps + int(informed.mask.sum()) + int(decoded.mask.sum()))
    equal(update.metrics["replay/streams"], EXPLORE_BATCH + 4 * EXECUTE_BATCH)


def test_a_reward_sees_detached_beliefs_and_the_progress_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    beliefs: list[Belief] = []
    loop = Loop(*build("dream"))
    loop.rounds(1)
    real = loop.method.reward
    monkeypatch.setattr(
        loop.method.losses, "reward", lambda trials, belief: (beliefs.append(belief), real(trials, belief))[1]
    )
    loop.method.update(loop.replay, 0.375, loop.generator)
    (belief,) = beliefs
    assert belief.progress == 0.375
    assert not any(value.requires_grad for value in (belief.code, belief.prefixes, belief.error))


# -- what the executor learns from -------------------------------------------------------------------------------


def test_the_executor_reads_the_online_code_with_the_noise_of_the_bottleneck() -> None:
    update = dream_update()
    expected = update.code(update.net, update.informed.problem_id) + NOISE * update.noise
    torch.testing.assert_close(update.fed["online"][: 2 * EXECUTE_BATCH], expected.detach().repeat_interleave(2, 0))


def test_the_executors_target_reads_the_averaged_code_with_the_same_noise() -> None:
    update = dream_update()
    expected = update.code(update.average, update.informed.problem_id) + NOISE * update.noise
    torch.testing.assert_close(update.fed["averaged"][: 2 * EXECUTE_BATCH], expected.detach().repeat_interleave(2, 0))


def test_trials_executed_on_g_are_learned_on_g_of_the_same_steps_without_noise() -> None:
    update = dream_update()
    steps, length = update.decoded.decoded_steps, update.decoded.explore.mask.sum(1)
    assert (steps == 0).any() and (steps == length).any() and ((steps != 0) & (steps != length)).any()
    prefixes = update.net.g(update.decoded.explore).detach()
    read = prefixes[torch.arange(len(prefixes)), steps].repeat_interleave(2, 0)
    for part in ("online", "averaged"):
        torch.testing.assert_close(update.fed[part][2 * EXECUTE_BATCH :], read, rtol=1e-4, atol=1e-5)


def test_a_method_without_bottleneck_has_neither_noise_nor_rate() -> None:
    update = Update("contextual")
    torch.testing.assert_close(
        update.fed["online"], update.code(update.net, update.informed.problem_id).detach().repeat_interleave(2, 0)
    )
    other = Update("contextual", bottleneck__rate_weight=10.0)
    for name, value in update.method.weights().items():
        assert torch.equal(value, other.method.weights()[name]), name


def test_an_executor_given_its_instruction_alone_reads_noiseless_zeros() -> None:
    update = Update("contextual", executor__context="instruction")
    assert not update.fed["online"].any() and not update.fed["averaged"].any()
    assert len(update.fed["online"]) == 2 * EXECUTE_BATCH


def test_the_executor_learns_from_the_averaged_executor() -> None:
    equal(dream_update().metrics["loss/executor"], dream_update().executor_loss())


def test_the_executors_value_is_that_of_the_first_observation() -> None:
    update = dream_update()
    values = []
    for trials, part in ((update.informed, 0), (update.decoded, 2 * EXECUTE_BATCH)):
        execute = trials.execute
        rows = slice(part, part + len(execute.mask))
        seen = update.net.executor.encode_frames(execute)
        best = update.net.executor(execute, seen, update.fed["online"][rows])[:, 0].argmax(-1)
        target = update.average.executor(execute, seen, update.fed["averaged"][rows])[:, 0]
        values.append(target.gather(1, best[:, None]).detach())
    equal(update.metrics["execute/value"], torch.cat(values).mean())


def test_rate_and_spread_are_those_of_the_online_codes() -> None:
    update = dream_update()
    code = update.code(update.net, update.informed.problem_id).detach().numpy()
    equal(update.metrics["bottleneck/rate"], 0.5 * (code**2).sum(-1).mean())
    equal(update.metrics["bottleneck/spread"], np.sqrt(code.var(0, ddof=1).sum()))


# -- the step ----------------------------------------------------------------------------------------------------


def test_the_gradient_is_that_of_all_losses_each_with_its_weight() -> None:
    update = dream_update()
    loss = (
        update.encoder_loss()
        + update.single_loss()
        + update.explorer_loss(information_rewards(update), information_scale(update))
        + update.executor_loss()
        + RATE_WEIGHT * update.rate()
    )
    names, parameters = zip(*update.net.named_parameters(), strict=True)
    expected = torch.autograd.grad(loss, parameters, allow_unused=True)
    got = dict(update.method.networks.named_parameters())
    moved = 0
    for name, gradient in zip(names, expected, strict=True):
        if gradient is None:
            assert got[name].grad is None or not got[name].grad.any(), name
            continue
        torch.testing.assert_close(got[name].grad, gradient, rtol=5e-3, atol=2e-5, msg=name)
        moved += bool(gradient.any())
    assert moved > 20


def test_the_rate_is_weighed_by_its_setting_and_nothing_else_shapes_f() -> None:
    """f learns from the executor's loss and the rate: with g and the explorer frozen out, the same gradient."""
    update = dream_update()
    loss = update.executor_loss() + RATE_WEIGHT * update.rate()
    parameters = list(update.net.f.parameters())
    for got, expected in zip(
        update.method.networks.f.parameters(), torch.autograd.grad(loss, parameters, allow_unused=True), strict=True
    ):
        assert expected is not None and got.grad is not None
        torch.testing.assert_close(got.grad, expected, rtol=5e-3, atol=2e-5)


def test_gradients_are_clipped_for_each_network_by_itself() -> None:
    free, clipped = Update("rnd"), Update("rnd", learning__max_grad_norm=1e-3)

    def norms(update: Update) -> list[float]:
        net = update.method.networks
        groups = ([net.f, net.executor], [net.g], [net.explorer], [update.method.reward])
        return [
            float(torch.cat([p.grad.flatten() for m in group for p in m.parameters() if p.grad is not None]).norm())
            for group in groups
        ]

    assert min(norms(free)) > 1e-2
    np.testing.assert_allclose(norms(clipped), 1e-3, rtol=1e-2)


@pytest.mark.parametrize("name", ["dream", "e-rl2"])
def test_the_step_size_falls_with_the_progress_of_training(name: str) -> None:
    loop = Loop(*build(name, learning__learning_rate=0.004, learning__final_learning_rate=0.001))
    loop.rounds(1)
    for progress, expected in ((0.0, 0.004), (0.5, 0.0025), (1.0, 0.001), (1.5, 0.001)):
        before = deepcopy(loop.method.optimizers["optimizer"].state_dict()["state"])
        loop.method.update(loop.replay, progress, loop.generator)
        assert before
        assert [group["lr"] for group in loop.method.optimizers["optimizer"].param_groups] == pytest.approx(
            [expected] * len(loop.method.optimizers["optimizer"].param_groups)
        )


@pytest.mark.parametrize("name", ["dream", "posterior", "rnd", "icm", "hyperx", "prediction", "first-explore", "count"])
def test_networks_are_decayed_and_reward_models_are_not(name: str) -> None:
    method, _ = build(name, learning__weight_decay=0.25)
    decay = {
        id(p): group["weight_decay"] for group in method.optimizers["optimizer"].param_groups for p in group["params"]
    }
    assert [decay[id(p)] for p in method.networks.parameters()] == [0.25] * len(list(method.networks.parameters()))
    learned = []
    if isinstance(method.reward, nn.Module):
        learned = [p for p in method.reward.parameters() if p.requires_grad]
    assert [decay[id(p)] for p in learned] == [0.0] * len(learned)
    assert len(decay) == len(list(method.networks.parameters())) + len(learned)


def test_the_averaged_networks_follow_at_their_rate() -> None:
    update = Update(learning__tau=0.25)
    online = dict(update.method.networks.named_parameters())
    before = dict(update.average.named_parameters())
    for name, value in update.method.averaged.named_parameters():
        torch.testing.assert_close(value, (0.75 * before[name] + 0.25 * online[name]).detach())


def test_until_g_has_begun_its_first_layers_learn_from_single_transitions_alone() -> None:
    """Then from whole explorations too, for good: g's and the explorer's."""
    update = Update(learning__single_until=0.5)
    losses, net = update.method.losses, update.method.networks

    def learns() -> list[bool]:
        """Whether the loss of whole explorations reaches the observations, g's memory and the explorer."""
        net.zero_grad()
        losses.explore(update.explored, 0.0)[0].backward()
        layers = (net.g.hidden, net.g.before, net.g.head, net.explorer)
        return [any(p.grad is not None and bool(p.grad.any()) for p in layer.parameters()) for layer in layers]

    losses.note_beginning()  # explained is 0.4
    assert learns() == [False, False, True, True] and not update.method.state_dict()["begun"]
    losses.explained.fill_(0.6)
    losses.note_beginning()
    losses.explained.fill_(0.1)
    losses.note_beginning()
    assert learns() == [True, True, True, True]
    other = Update(learning__single_until=0.5).method
    other.load_state_dict(update.method.state_dict())
    assert other.losses.begun and Update().method.losses.begun
