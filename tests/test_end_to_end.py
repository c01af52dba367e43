"""End-to-end policies: one memory from beginning to end, no id at test time, each gradient in its place."""

import math
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dream.config import TrainConfig, override
from dream.core.acting import random_actions
from dream.core.qlearning import q_policy_loss
from dream.core.rollout import Now, PolicyState, rollout
from dream.core.trial import Episodes, Trials, concatenate
from dream.envs import make
from dream.errors import UserError
from dream.eval.diagnostics import Diagnosis
from dream.execution.informed import Import
from dream.execution.stream import StepInputs, TrialStream, stream_decisions, trial_stream
from dream.execution.varibad import VariBAD, pooled, step_kl
from dream.methods.build import build_method
from tests.small_training import SMALL, Loop, Relabelled, build, gradients, play, same, trained

END_TO_END = ["rl2", "e-rl2", "import", "varibad"]
END = 4
CORES = pytest.mark.parametrize("core", ["lstm", "transformer"])
EVERY = pytest.mark.parametrize("method", END_TO_END)


def values(networks: Any, stream: TrialStream) -> Tensor:
    """Action values over whole trials, (N, T + 1, A)."""
    features = networks.encode_frames(stream.episodes.obs, stream.episodes.observed)
    return networks.act(features, stream.inputs, networks.contexts(features, stream.inputs))


def loss_of(
    method: Any, stream: TrialStream, factors: Tensor, informed: int = 0, config: TrainConfig | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss by Q(lambda) of N trials, the last `informed` of which were played on the problem id, and its metrics."""
    config, net, own = config or method.config, method.networks, len(factors) - informed
    features = net.encode_frames(stream.episodes.obs, stream.episodes.observed)
    online, target = (some.outputs(features, stream, factors, own=own) for some in (net, method.averaged))
    decisions = stream_decisions(stream, explore_gamma=0.9, gamma=0.8)
    loss = q_policy_loss(online.own, target.own, decisions.select(slice(own)), 0.7).loss
    if online.informed is not None:
        loss = loss + q_policy_loss(online.informed, target.informed, decisions, 0.7).loss
    generator = torch.Generator().manual_seed(0)
    auxiliary, metrics = net.auxiliary_loss(features, online, stream, factors, config, generator)
    return loss if auxiliary is None else loss + auxiliary, metrics


# -- acting ------------------------------------------------------------------------------------------------------


@CORES
@EVERY
@pytest.mark.parametrize(("k", "n"), [(1, 1), (2, 3), (0, 2)])
def test_play_is_greedy_with_one_memory_from_beginning_to_end(method: str, core: str, k: int, n: int) -> None:
    """Every action is the best one of the averaged networks, evaluated on the whole trial at once."""
    loop = trained(method, network__memory=core, trial__explore_episodes=k, trial__execute_episodes=n)
    assert all(torch.isfinite(value).all() for value in loop.metrics.values()), loop.metrics
    assert loop.metrics["replay/streams"] == 12 * ((k > 0) + n)
    with torch.no_grad():  # what is remembered decides what is done
        for name, weight in loop.method.averaged.policy.named_parameters():
            weight.mul_(30 if name.endswith("scale_shift.weight") else 1)
    trials = play(loop.method, loop.env, np.arange(12) % 2)
    assert trials.execute_episodes == n and bool(trials.explore.mask.any()) == (k > 0) and not trials.used_id.any()
    stream = trial_stream(trials, loop.method.layout)
    with torch.no_grad():
        q = values(loop.method.averaged, stream)[:, :-1]
    taken = q.gather(-1, stream.episodes.action.clamp(max=q.shape[-1] - 1)[..., None])[..., 0]
    regret = (q.amax(-1) - taken)[stream.episodes.transition]
    assert len(regret) >= 12 * n and regret.max() < 1e-3


@CORES
def test_reading_a_recorded_trial_gives_the_state_of_playing_it(core: str) -> None:
    method, env = build("e-rl2", network__memory=core, trial__explore_episodes=2)
    lived: list[PolicyState] = [None] * 12
    net, layout = method.networks, method.layout

    def policy(now: Now, state: PolicyState) -> tuple[Tensor, PolicyState]:
        instruction = torch.zeros(12, 1, dtype=torch.int64)
        inputs = layout.inputs(now.previous_action, now.previous_reward, now.start, instruction, exploring=True)
        _, state = net.remember(net.encode_frames(now.obs, now.active), inputs, state)
        for member in now.active.nonzero()[:, 0].tolist():
            lived[member] = tuple(tensor[member] for tensor in state)
        return torch.multinomial(random_actions(env), 12, replacement=True), state

    with torch.no_grad():
        explore = rollout(env, policy, np.arange(12) % 2, phase="explore", episodes=2)
        read = method.read(net, explore, None, exploring=True)
        # Playing ends before the last observation is read.
        short = Episodes(
            obs=explore.obs,
            mask=explore.mask & (torch.arange(explore.mask.shape[1]) < explore.length[:, None] - 1),
            **{k: getattr(explore, k) for k in ("action", "reward", "terminated", "start", "instruction")},
        )
        before = method.read(net, short, None, exploring=True)
    assert len(set(explore.length.tolist())) > 1
    for member in range(12):
        for own, recorded in zip(lived[member], before, strict=True):
            torch.testing.assert_close(own, recorded[member], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(read[1], before[1], atol=1e-3)


@CORES
@EVERY
def test_neither_padding_nor_neighbours_change_the_loss(method: str, core: str) -> None:
    loop = trained(method, network__memory=core)
    trials = loop.replay.sample(6)
    rows = torch.tensor([0, 2])
    few = Trials(
        trials.problem_id[rows], trials.explore.select(rows), trials.execute.select(rows), trials.used_id[rows]
    )
    longer = Trials(few.problem_id, padded(few.explore), padded(few.execute), few.used_id)
    layout, net = loop.method.layout, loop.method.networks
    whole, some, more = (trial_stream(t, layout) for t in (trials, few, longer))
    valid = some.episodes.observed
    expected = values(net, whole)[rows][:, : valid.shape[1]][valid]
    torch.testing.assert_close(values(net, some)[valid], expected, atol=1e-5, rtol=1e-4)
    assert more.episodes.mask.shape[1] == some.episodes.mask.shape[1] + 10
    factors = loop.method.factors(few.problem_id)
    losses = [loss_of(loop.method, stream, factors)[0] for stream in (some, more)]
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-4)


def padded(episodes: Episodes) -> Episodes:
    """Five more slots with rubbish in them, none of which belongs to a stream."""
    count, slots = episodes.mask.shape
    other = Episodes(
        obs=torch.ones((1, slots + 6, *episodes.obs.shape[2:]), dtype=episodes.obs.dtype),
        action=torch.ones((1, slots + 5), dtype=torch.int64),
        reward=torch.full((1, slots + 5), 9.0),
        terminated=torch.ones((1, slots + 5), dtype=torch.bool),
        mask=torch.zeros((1, slots + 5), dtype=torch.bool),
        start=torch.zeros((1, slots + 5), dtype=torch.bool),
        instruction=episodes.instruction[:1],
    )
    return concatenate(episodes, other).select(torch.arange(count))


def test_the_policy_cannot_choose_to_end_an_unrewarded_exploration_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    likes_end = torch.zeros(5)
    likes_end[END] = 1.0
    shares = {}
    for name in ("e-rl2", "rl2"):
        method, env = build(name, learning__num_envs=200)
        for networks in (method.networks, method.averaged):
            monkeypatch.setattr(networks, "act", lambda seen, *rest: likes_end.expand(len(seen), 5))
        explore = method.collect(env, np.arange(200) % 2, torch.Generator().manual_seed(0)).explore
        shares[name] = float((explore.action[explore.transition] == END).float().mean())
        assert (play(method, env, np.arange(200) % 2).explore.transition.sum(1) == 1).all()
    assert 0.001 < shares["e-rl2"] < 0.05 and shares["rl2"] > 0.2


def test_rl2_explores_in_rewarded_episodes_and_the_others_do_not() -> None:
    for name in END_TO_END:
        loop = trained(name, env="map")
        trials = play(loop.method, loop.env, loop.env.problems.sample("test", 12, np.random.default_rng(0)))
        assert bool((trials.explore.reward != 0).any()) == bool(trials.explore.instruction.any()) == (name == "rl2")


def test_instructions_of_an_evaluation_do_not_depend_on_the_method() -> None:
    drawn = []
    for name in END_TO_END:
        method, env = build(name, env="map")
        drawn.append(play(method, env, np.arange(12)).execute.instruction)
    assert all(torch.equal(drawn[0], other) for other in drawn)


def test_executions_follow_explorations_of_another_method() -> None:
    random, env = build_method(make("map", 12), override(TrainConfig(method="random"), SMALL)), make("map", 12)
    env.reset(seed=0)
    ids = np.arange(12)
    explore = random.explore(env, ids, torch.Generator().manual_seed(0))
    for name in END_TO_END:
        method, _ = build(name, env="map")
        trials = method.execute(env, ids, explore)
        assert trials.explore is explore and len(trials.execute.mask) == 12


@EVERY
def test_no_id_reaches_a_test_trial(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = trained(method, env="cooking", bottleneck__init_scale=5.0)
    ids = loop.env.problems.sample("test", 12, np.random.default_rng(0))
    honest, other = play(loop.method, loop.env, ids), Relabelled(loop.env)
    assert same(play(loop.method, other, other.labels(ids)), honest)
    monkeypatch.setattr(loop.method, "factors", lambda ids: torch.full((len(ids), 1), -1))
    assert same(play(loop.method, loop.env, ids), honest)


# -- learning ----------------------------------------------------------------------------------------------------


def stream_of(loop: Loop, count: int = 8) -> tuple[TrialStream, Tensor]:
    trials = loop.replay.sample(count)
    return trial_stream(trials, loop.method.layout), loop.method.factors(trials.problem_id)


def test_import_plays_half_of_its_trials_informed() -> None:
    loop = trained("import", env="map", learning__num_envs=40, bottleneck__init_scale=20.0)
    method, ids = loop.method, np.arange(40) % 2
    seen_by: list[Tensor] = []
    act = method.networks.act

    def spy(seen: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        seen_by.append(context)
        return act(seen, inputs, context)

    method.networks.act = spy  # type: ignore[method-assign]
    trials = method.collect(loop.env, ids, torch.Generator().manual_seed(0))
    assert int(trials.used_id.sum()) == 20
    code = method.networks.f(torch.from_numpy(ids)[:, None])  # type: ignore[union-attr,operator]
    for context in seen_by:
        informed = torch.isclose(context, code).all(1)
        assert torch.equal(informed, trials.used_id)


@pytest.mark.parametrize("learner", ["q", "ppo"])
@CORES
def test_import_can_learn_from_informed_trials_alone(core: str, learner: str) -> None:
    changes: dict[str, Any] = {"network__memory": core, "end_to_end__learner": learner}
    loop = trained("import", end_to_end__id_fraction=1.0, **changes)
    assert bool(loop.rounds(1).used_id.all())
    assert all(math.isfinite(float(value)) for value in loop.metrics.values())
    assert float(loop.metrics["loss/distance"]) == 0.0
    untrained, _ = build("import", **changes)
    pairs = zip(untrained.networks.f.parameters(), loop.method.networks.f.parameters(), strict=True)
    assert not all(torch.equal(before, after) for before, after in pairs)


def test_import_plays_the_given_share_of_its_trials_informed() -> None:
    loop = trained("import", learning__num_envs=40, end_to_end__id_fraction=0.3)
    assert int(loop.rounds(1).used_id.sum()) == 12


def test_import_can_be_played_on_the_problem_id() -> None:
    loop = trained("import", env="map", learning__num_envs=40, bottleneck__init_scale=20.0)
    method, ids = loop.method, np.arange(40) % 2
    seen_by: list[Tensor] = []
    act = method.averaged.act

    def spy(seen: Tensor, inputs: StepInputs, context: Tensor) -> Tensor:
        seen_by.append(context)
        return act(seen, inputs, context)

    method.averaged.act = spy
    trials = method.play_informed(loop.env, ids, torch.Generator().manual_seed(0))  # type: ignore[attr-defined]
    code = method.averaged.f(torch.from_numpy(ids)[:, None])
    assert seen_by and all(torch.equal(context, code) for context in seen_by)
    assert bool(trials.used_id.all()) and bool(trials.explore.mask.any())
    with pytest.raises(NotImplementedError, match="RL2 has no policy that acts on the problem id"):
        trained("rl2").method.play_informed(loop.env, ids)  # type: ignore[attr-defined]


def test_the_distance_term_of_import_trains_the_memory_and_not_the_code() -> None:
    loop = trained("import", end_to_end__import_weight=1e6)
    net = loop.method.networks
    assert isinstance(net, Import)
    stream, factors = stream_of(loop)
    seen = net.encode_frames(stream.episodes.obs, stream.episodes.observed)
    distance = (net.contexts(seen, stream.inputs) - net.f(factors)[:, None]).square().sum(-1)
    expected = distance[stream.episodes.observed].mean()
    gradient = []
    for weight in (0.0, 1e6):
        net.zero_grad()
        config = override(loop.method.config, {"end_to_end.import_weight": weight})
        loss, metrics = loss_of(loop.method, stream, factors, config=config)
        loss.backward()
        gradient.append({name: parameter.grad.clone() for name, parameter in net.named_parameters()})  # type: ignore[union-attr]
    torch.testing.assert_close(metrics["loss/distance"], expected.detach())
    for name in gradient[0]:
        moved = not torch.allclose(gradient[0][name], gradient[1][name], atol=1e-3)
        assert moved == name.startswith(("trial.", "context.")), name


def test_the_memory_of_import_learns_from_its_own_trials_only() -> None:
    loop = trained("import")
    net, method = loop.method.networks, loop.method
    stream, factors = stream_of(loop)
    for informed in (8, 7):
        seen = net.encode_frames(stream.episodes.obs, stream.episodes.observed)
        outputs = net.outputs(seen, stream, factors, own=8 - informed)
        assert (len(outputs.own), len(outputs.informed), len(outputs.context)) == (8 - informed, 8, 8 - informed)
    loss_of(method, stream, factors, informed=7)[0].backward()
    assert gradients(net.trial) and gradients(net.f)
    other = TrialStream(**{**stream.__dict__, "reward": stream.reward.clone()})
    other.reward[1:] += 5.0  # what only the informed policy sees
    grads = []
    for given in (stream, other):
        net.zero_grad()
        loss_of(method, given, factors, informed=7)[0].backward()
        grads.append([p.grad.clone() for p in net.trial.memory.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_varibad_keeps_the_policys_gradient_out_of_the_belief() -> None:
    loop = trained("varibad")
    net = loop.method.networks
    assert isinstance(net, VariBAD)
    stream, _ = stream_of(loop)
    seen = net.encode_frames(stream.episodes.obs, stream.episodes.observed)
    belief = net.contexts(seen, stream.inputs)
    net.zero_grad()
    net.act(seen, stream.inputs, belief).sum().backward()
    assert gradients(net.policy)
    assert not any(gradients(part) for part in (net.trial, net.belief, net.outcome, net.reward))
    net.zero_grad()
    negative, _ = net.negative_elbo(stream, seen, net.contexts(seen, stream.inputs), loop.method.config, loop.generator)
    negative.backward()
    assert all(gradients(part) for part in (net.trial, net.belief, net.outcome, net.reward))
    assert not gradients(net.policy)
    named = {id(p) for group in net.groups() for p in group}
    assert named == {id(p) for p in net.parameters()} and len(net.groups()) == 2


@pytest.mark.parametrize("name", ["import", "varibad"])
def test_a_policy_for_each_phase(name: str) -> None:
    """What exploring is worth moves the exploring policy alone, what executing is worth the other one."""
    loop = trained(name)
    net = loop.method.networks
    assert isinstance(net, VariBAD | Import)
    stream, _ = stream_of(loop)
    seen = net.encode_frames(stream.episodes.obs, stream.episodes.observed)
    q = net.act(seen, stream.inputs, net.contexts(seen, stream.inputs))[:, :-1]
    for phase, idle in ((stream.exploring, net.policy.execute), (~stream.exploring, net.policy.explore)):
        net.zero_grad()
        (q.sum(-1) * (phase & stream.episodes.transition)).sum().backward(retain_graph=True)
        learning = net.policy.explore if idle is net.policy.execute else net.policy.execute
        assert gradients(learning) and not gradients(idle)


def test_varibad_may_train_its_belief_by_the_policy() -> None:
    loop = trained("varibad", end_to_end__belief_learns_from="both")
    net = loop.method.networks
    assert isinstance(net, VariBAD)
    stream, _ = stream_of(loop)
    seen = net.encode_frames(stream.episodes.obs, stream.episodes.observed)
    net.zero_grad()
    net.act(seen, stream.inputs, net.contexts(seen, stream.inputs)).sum().backward()
    assert all(gradients(part) for part in (net.trial, net.belief, net.policy))
    assert not gradients(net.outcome) and not gradients(net.reward)


def test_the_kl_of_a_step_by_hand() -> None:
    """From N(0, 1) to N(1, 4), to N(1, 4) again, to N(0, 1): two dimensions, the other one stays at its prior."""
    belief = torch.tensor([[1.0, 0, math.log(2), 0], [1.0, 0, math.log(2), 0], [0.0, 0, 0, 0]])[None]
    first = -math.log(2) + 0.5 * (4 + 1 - 1)
    last = math.log(2) + 0.5 * (0.25 + 0.25 - 1)
    assert step_kl(belief)[0].tolist() == pytest.approx([first, 0.0, last])
    assert step_kl(torch.zeros(2, 3, 6)).abs().max() == 0  # at the prior
    mine = torch.distributions.Normal(torch.tensor([0.3]), torch.tensor([0.7]))
    prior = torch.distributions.Normal(torch.zeros(1), torch.ones(1))
    got = step_kl(torch.tensor([[[0.3, math.log(0.7)]]]))
    torch.testing.assert_close(got[0], torch.distributions.kl_divergence(mine, prior))


def test_varibads_decoders_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uniform decoders cost log n per component of each observation; rewards cost their squared error."""
    loop = trained("varibad", end_to_end__kl_weight=0.5)
    net = loop.method.networks
    assert isinstance(net, VariBAD)
    with torch.no_grad():
        for decoder in (net.outcome, net.reward):
            decoder.out.weight.zero_()
            decoder.out.bias.zero_()
    stream, _ = stream_of(loop)
    seen = net.encode_frames(stream.episodes.obs, stream.episodes.observed)
    belief = net.contexts(seen, stream.inputs)
    negative, metrics = net.negative_elbo(stream, seen, belief, loop.method.config, loop.generator)
    steps = stream.episodes.transition.sum() / 8
    outcome = steps * (math.log(5) + math.log(3))  # x, sign
    reward = (0.5 * (stream.reward / 0.25).square()).sum() / 8
    kl = step_kl(belief)[stream.episodes.observed].mean()
    torch.testing.assert_close(metrics["belief/outcome_nats"], outcome, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(metrics["belief/reward_nats"], reward, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(negative, (outcome + reward + 0.5 * kl) / steps, rtol=1e-4, atol=1e-4)


def test_varibad_decodes_past_and_future_from_each_belief() -> None:
    loop = trained("varibad", env="map")
    net = loop.method.networks
    assert isinstance(net, VariBAD)
    stream, _ = stream_of(loop, 3)
    before, z = stream.episodes.obs[:, :-1], torch.randn(3, 2, 4)
    action = stream.episodes.action.clamp(max=8)
    nats = net.outcome.nats(before, stream.episodes.obs[:, 1:], action, stream.inputs.before(), z)
    assert nats.shape == (3, 2, stream.episodes.mask.shape[1])
    alone = net.outcome.nats(
        before[1:2, 4:5],
        stream.episodes.obs[1:2, 5:6],
        action[1:2, 4:5],
        StepInputs(*(part[1:2, 4:5] for part in stream.inputs)),
        z[1:2, 1:],
    )
    torch.testing.assert_close(nats[1, 1, 4], alone[0, 0, 0])
    assert not torch.allclose(nats[:, 0], nats[:, 1])


def test_frames_are_pooled_to_means() -> None:
    pixels = torch.zeros(2, 3, 60, 80)
    pixels[1, 2, :4, :4] = 255
    small = pooled(pixels)
    assert float(small[0].max()) == -0.5
    assert float(small[1, 2, 0, 0]) == 0.5 and float(small[1].sum()) == pytest.approx(1 - 0.5 * 900)


@EVERY
def test_the_averaged_networks_follow_the_online_ones(method: str) -> None:
    policy, env = build(method, learning__tau=0.25)
    before = {name: value.clone() for name, value in policy.weights().items()}
    Loop(policy, env).rounds(1)
    after = policy.weights()
    moved = 0
    for name in (name.removeprefix("online.") for name in after if name.startswith("online.")):
        expected = torch.lerp(before[f"averaged.{name}"], after[f"online.{name}"], 0.25)
        torch.testing.assert_close(after[f"averaged.{name}"], expected)
        moved += not torch.equal(before[f"online.{name}"], after[f"online.{name}"])
    assert moved > 10
    assert not any(parameter.requires_grad for parameter in policy.averaged.parameters())


# -- state, and what is refused ----------------------------------------------------------------------------------


@CORES
@EVERY
def test_training_resumes_from_weights_and_state(method: str, core: str) -> None:
    loop = trained(method, rounds=3, network__memory=core)
    other = Loop(*build(method, seed=9, network__memory=core))
    other.method.load_weights({name: value.clone() for name, value in loop.method.weights().items()})
    other.method.load_state_dict(deepcopy(loop.method.state_dict()))
    other.replay.load_state_dict(loop.replay.state_dict())
    other.generator.set_state(loop.generator.get_state())
    other.rng.bit_generator.state = loop.rng.bit_generator.state
    other.env.np_random.bit_generator.state = loop.env.np_random.bit_generator.state
    other.training.step = loop.training.step
    assert same(other.rounds(1), loop.rounds(1))
    assert other.metrics == loop.metrics
    assert all(torch.equal(value, other.method.weights()[name]) for name, value in loop.method.weights().items())


def test_the_diagnosis_of_a_method_without_encoders_has_the_figures_that_need_none() -> None:
    method, env = build("e-rl2")
    diagnosis = Diagnosis(method)
    trials = diagnosis.play(env, np.arange(12) % 2, torch.Generator().manual_seed(0))
    assert diagnosis.summary() == {
        "informed": float((trials.explore.obs[..., 1] > 0).any(1).float().mean()),
        "return_0": float(trials.execute.reward.sum(1).mean()),
    }


def test_settings_that_a_method_cannot_have_are_refused() -> None:
    for method, changes, message in (
        ("dream", {"trial__explore_episodes": 0}, "dream explores before it executes.*e-rl2"),
        ("dream", {"network__memory": "transformer"}, "dream has LSTMs.*rl2"),
    ):
        with pytest.raises(UserError, match=message):
            build(method, **changes)


def test_each_execution_episode_is_read_before_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    method, env = build("e-rl2", env="map", trial__execute_episodes=3)
    ids, read, real = np.arange(12), [], method.read

    def spy(networks: Any, episodes: Episodes, state: Any, *, exploring: bool) -> Any:
        read.append((episodes.instruction, exploring))
        return real(networks, episodes, state, exploring=exploring)

    monkeypatch.setattr(method, "read", spy)
    trials = play(method, env, ids)
    instructions = trials.execute.instruction.view(12, 3, -1)
    assert [exploring for _, exploring in read] == [True, False, False]
    assert torch.equal(read[1][0], instructions[:, 0]) and torch.equal(read[2][0], instructions[:, 1])
    assert not torch.equal(instructions[:, 0], instructions[:, 1])
