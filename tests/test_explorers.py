"""Exploration rewards: against hand computation, and what must hold for all of them."""

import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.config import TrainConfig, override
from dream.core.actions import Actions
from dream.core.frames import FrameEncoder
from dream.core.trial import Episodes, Trials, all_steps
from dream.envs import integer_space
from dream.exploration import hyperx, icm
from dream.exploration.base import Belief, ExplorationReward
from dream.exploration.counts import Counts
from dream.exploration.hashing import BITS, ObservationHash
from dream.exploration.hyperx import HyperStateNovelty
from dream.exploration.icm import IntrinsicCuriosity
from dream.exploration.outcome import Improvement, reward_at_the_end
from dream.exploration.posterior import GaussianPosterior
from dream.exploration.prediction import Prediction
from dream.exploration.rnd import RandomNetworkDistillation
from dream.methods.pair import PairRules
from dream.methods.registry import METHODS

SPACE = integer_space([5, 3])
FRAMES = gym.spaces.Box(0, 255, (20, 28, 3), np.uint8)
COUNT, WIDTH, Z = 4, 8, 3
ACTIONS = Actions(gym.spaces.Discrete(COUNT))


def explorations(
    obs: Tensor, lengths: list[int], action: Tensor | None = None, resets: tuple[int, ...] = ()
) -> Episodes:
    """Streams of the given lengths; the step into each slot of `resets` is a reset step."""
    n, steps = len(lengths), obs.shape[1] - 1
    start = torch.zeros(n, steps, dtype=torch.bool)
    start[:, [0, *(slot + 1 for slot in resets)]] = True
    return Episodes(
        obs=obs,
        action=torch.zeros(n, steps, dtype=torch.int64) if action is None else action,
        reward=torch.zeros(n, steps),
        terminated=torch.zeros(n, steps, dtype=torch.bool),
        mask=torch.arange(steps) < torch.tensor(lengths)[:, None],
        start=start,
        instruction=torch.zeros(n, 1, dtype=torch.int64),
    )


def trials(explore: Episodes, returns: list[float] | None = None, used_id: list[bool] | None = None) -> Trials:
    """Trials with an execution of two steps each; `returns` of n executions a trial, trial by trial."""
    n = len(explore.mask)
    returns = [0.0] * n if returns is None else returns
    executions = len(returns)
    execute = Episodes(
        obs=torch.zeros(executions, 3, *explore.obs.shape[2:], dtype=explore.obs.dtype),
        action=torch.zeros(executions, 2, dtype=torch.int64),
        reward=torch.tensor(returns)[:, None] * torch.tensor([0.25, 0.75]),
        terminated=torch.zeros(executions, 2, dtype=torch.bool),
        mask=torch.ones(executions, 2, dtype=torch.bool),
        start=torch.zeros(executions, 2, dtype=torch.bool),
        instruction=torch.arange(executions)[:, None] % 2,
    )
    on_id = torch.zeros(n, dtype=torch.bool) if used_id is None else torch.tensor(used_id)
    return Trials(torch.arange(n) % 2, explore, execute, all_steps(explore, on_id))


def belief(explore: Episodes, progress: float = 0.0, seed: int = 0) -> Belief:
    """Random outputs of f and g."""
    generator = torch.Generator().manual_seed(seed)
    n, steps = explore.mask.shape
    return Belief(
        code=torch.randn(n, Z, generator=generator),
        prefixes=torch.randn(n, steps + 1, Z, generator=generator),
        error=torch.rand(n, steps + 1, generator=generator),
        progress=progress,
    )


def random_explorations(seed: int, n: int = 4, steps: int = 6, frames: bool = False) -> Episodes:
    """Streams of random length, at least one step."""
    generator = torch.Generator().manual_seed(seed)
    if frames:
        obs = torch.randint(256, (n, steps + 1, *FRAMES.shape), generator=generator).to(torch.uint8)
    else:
        obs = torch.stack([torch.randint(size, (n, steps + 1), generator=generator) for size in (5, 3)], -1)
    lengths = torch.randint(1, steps + 1, (n,), generator=generator).tolist()
    return explorations(obs, lengths, torch.randint(COUNT, (n, steps), generator=generator))


def reward_of(name: str, space: gym.Space = SPACE) -> ExplorationReward:
    """The exploration reward of a method for a tiny environment of two problems."""

    class Env:
        single_observation_space = space
        single_action_space = gym.spaces.Discrete(COUNT)
        instruction_space = gym.spaces.MultiDiscrete([2])

        class problems:
            factors = (2,)
            factor_table = np.array([[0], [1]])
            description = None

    small = {"network.width": WIDTH, "network.memory_size": 6, "bottleneck.z_dim": Z}
    config = override(TrainConfig(method=name), small)
    rules = METHODS[name].rules(config)
    assert isinstance(rules, PairRules) and rules.reward is not None
    torch.manual_seed(0)
    return rules.reward(Env, config)


REWARDED = [
    name
    for name, spec in METHODS.items()
    if isinstance(rules := spec.rules(TrainConfig()), PairRules) and rules.reward is not None
]
MODELS = [name for name in REWARDED if list(reward_of(name).parameters())]
"""The methods whose explorer is rewarded for something, and those whose reward has networks of its own."""


def reward_for(model: ExplorationReward, some: Trials, known: Belief) -> Tensor:
    return model(some, known)[0]


# -- all of them -------------------------------------------------------------------------------------------------


def test_every_rewarded_explorer_is_under_test() -> None:
    assert set(REWARDED) >= {"dream", "count", "rnd", "icm", "hyperx", "prediction", "first-explore"}
    assert set(REWARDED) - set(MODELS) == {"dream", "count"}


@pytest.mark.parametrize("frames", [False, True], ids=["integers", "frames"])
@pytest.mark.parametrize("name", REWARDED)
def test_padding_and_neighbours_never_change_a_reward(name: str, frames: bool) -> None:
    space = FRAMES if frames else SPACE
    one = random_explorations(1, frames=frames)
    alone = trials(one, [1.0, -1.0, 0.5, 0.0], [False, False, False, True])
    known = belief(one)
    filled = replace(
        one,
        obs=torch.where(one.observed.view(4, 7, *[1] * (one.obs.ndim - 2)), one.obs, 1),
        action=torch.where(one.mask, one.action, 2),
    )
    prefixes = torch.where(one.observed[..., None], known.prefixes, 99.0)
    other = random_explorations(2, frames=frames)
    both = Episodes(**{k: torch.cat([getattr(filled, k), getattr(other, k)]) for k in Episodes.__dataclass_fields__})
    both_trials = trials(both, [1.0, -1.0, 0.5, 0.0, 7.0, 7.0, 7.0, 7.0], [False, False, False, True] + [False] * 4)
    more = belief(other, seed=9)
    both_known = Belief(
        torch.cat([known.code, more.code]),
        torch.cat([prefixes, more.prefixes]),
        torch.cat([torch.where(one.observed, known.error, 1e3), more.error]),
    )
    model = reward_of(name, space)
    reward = reward_for(model, alone, known)
    assert reward.shape == one.mask.shape and torch.isfinite(reward).all() and not reward.requires_grad
    assert not reward[~one.mask].any() and reward[one.mask].any()
    other_model = reward_of(name, space)
    again = reward_for(other_model, both_trials, both_known)[:4]
    if isinstance(model, HyperStateNovelty) and isinstance(other_model, HyperStateNovelty):
        improvement = reward_for(model.improvement, alone, known)  # the rest is divided by the novelty of a mean trial
        reward, again = (reward - improvement) * model.scale, (again - improvement) * other_model.scale
    torch.testing.assert_close(again, reward, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in REWARDED if name != "dream"])
def test_reset_steps_have_no_reward(name: str) -> None:
    explore = random_explorations(3)
    explore = explorations(explore.obs, [6] * 4, explore.action.index_fill(1, torch.tensor([2]), COUNT), resets=(2,))
    assert explore.reset_step[:, 2].all()
    model = reward_of(name)
    model.observe(trials(explore))
    reward, loss = model(trials(explore), belief(explore))
    assert not reward[:, 2].any() and torch.isfinite(loss) and torch.isfinite(reward).all()


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_of_a_reward_model_reaches_its_parameters_and_falls(name: str) -> None:
    model = reward_of(name)
    explore = random_explorations(4, n=16)
    some, known = trials(explore, [1.0, -1.0] * 8), belief(explore)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=1e-2)
    losses = []
    for _ in range(80):
        _, loss = model(some, known)
        optimizer.zero_grad()
        loss.backward()
        assert losses or all(p.grad is not None for p in learned)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


# -- counts ------------------------------------------------------------------------------------------------------


def test_counts_by_hand() -> None:
    model = Counts(SPACE)
    a, b, c = [0, 0], [1, 0], [1, 1]
    explore = explorations(torch.tensor([[a, b, b, c, b], [a, c, a, a, a]]), [4, 1])
    model.observe(trials(explore))
    table = {tuple(place): int(model.table[model.cell(torch.tensor([[place]]))]) for place in (a, b, c)}
    assert table == {(0, 0): 0, (1, 0): 3, (1, 1): 2}  # reached, so not the first observation; nor padding
    reward, loss = model(trials(explore), belief(explore))
    n = 3**-0.5
    expected = [[n, n * 2**-0.5, 2**-0.5, n * 3**-0.5], [2**-0.5, 0, 0, 0]]
    torch.testing.assert_close(reward, torch.tensor(expected))
    assert loss == 0
    model.observe(trials(explore))
    torch.testing.assert_close(model(trials(explore), belief(explore))[0], torch.tensor(expected) * 2**-0.5)


def test_an_observation_that_was_never_counted_has_the_reward_of_one_counted_once() -> None:
    explore = explorations(torch.tensor([[[0, 0], [2, 1], [2, 1]]]), [2])
    torch.testing.assert_close(Counts(SPACE)(trials(explore), belief(explore))[0], torch.tensor([[1.0, 2**-0.5]]))


def test_small_integer_spaces_have_a_cell_for_each_observation() -> None:
    every = torch.cartesian_prod(torch.arange(5), torch.arange(3))[None]
    assert ObservationHash(SPACE)(every)[0].sort().values.tolist() == list(range(15))


def test_in_larger_spaces_every_component_counts() -> None:
    """A place value of 2^16 or more would vanish in 2^16 cells."""
    cell = ObservationHash(integer_space([16] * 40))
    obs = torch.randint(16, (1, 2000, 40), generator=torch.Generator().manual_seed(0))
    hashed = cell(obs)[0]
    assert hashed.min() >= 0 and hashed.max() < 2**BITS
    assert len(hashed.unique()) > 1900  # 2,000 balls into 65,536 cells: 1,970 expected
    for component in (0, 20, 39):
        changed = obs.clone()
        changed[..., component] = (changed[..., component] + 1) % 16
        assert (cell(changed)[0] != hashed).float().mean() > 0.99


def test_frames_are_hashed_by_the_signs_of_their_projections() -> None:
    cell = ObservationHash(FRAMES)
    frames = torch.randint(256, (2, 3, *FRAMES.shape), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    hashed = cell(frames)
    assert hashed.shape == (2, 3) and hashed.min() >= 0 and hashed.max() < 2**BITS
    assert torch.equal(hashed, ObservationHash(FRAMES)(frames))  # in every run the same
    colours = F.adaptive_avg_pool2d(frames[1, 2].permute(2, 0, 1)[None].float(), (6, 8))[0]
    signs = (colours - colours.mean((1, 2), keepdim=True)).flatten() @ cell.parts[0].projection > 0
    assert int(hashed[1, 2]) == sum(2**i for i in range(BITS) if signs[i])
    assert int(cell((frames // 2 + 60)[1:, 2:])) != int(cell((255 - frames)[1:, 2:]))


# -- random network distillation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [SPACE, FRAMES], ids=["integers", "frames"])
def test_novelty_falls_where_it_was_trained_and_stays_elsewhere(space: gym.Space) -> None:
    torch.manual_seed(0)
    model = RandomNetworkDistillation(space, 32)
    frozen = {name: value.clone() for name, value in model.target.state_dict().items()}
    old = random_explorations(1, frames=space is FRAMES)
    if space is SPACE:
        old = replace(old, obs=old.obs % 2)
    new = replace(old, obs=old.obs + torch.tensor([3, 1]) if space is SPACE else 255 - old.obs)
    before = [reward_for(model, trials(e), belief(e)).sum() for e in (old, new)]
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(60):
        _, loss = model(trials(old), belief(old))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = [reward_for(model, trials(e), belief(e)).sum() for e in (old, new)]
    left = [float(late / early) for early, late in zip(before, after, strict=True)]
    assert left[0] < 0.1 and left[1] > 3 * left[0]
    assert all(torch.equal(value, frozen[name]) for name, value in model.target.state_dict().items())


def test_novelty_is_the_mean_squared_error_of_the_features() -> None:
    model = RandomNetworkDistillation(SPACE, WIDTH)
    explore = random_explorations(1)
    reward, loss = model(trials(explore), belief(explore))
    error = (model.predictor(explore.obs[:, 1:]) - model.target(explore.obs[:, 1:])).square().mean(-1)
    torch.testing.assert_close(reward, (error * explore.mask).detach())
    torch.testing.assert_close(loss, error[explore.mask].mean())


def test_features_of_random_frames_differ() -> None:
    """What the paper normalises observations for: not all frames may look the same to the target."""
    torch.manual_seed(0)
    model = RandomNetworkDistillation(FRAMES, 32)
    shades = torch.linspace(100, 140, 50)[:, None, None, None] + 10 * torch.randn(50, *FRAMES.shape)  # rather alike
    features = model.target(shades.clamp(0, 255).to(torch.uint8))
    assert features.var(0).mean() > 0.1 * features.square().mean()


# -- curiosity ---------------------------------------------------------------------------------------------------


def test_curiosity_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    model = IntrinsicCuriosity(SPACE, ACTIONS, 2)
    explore = explorations(torch.tensor([[[0, 0], [1, 0], [3, 0]]]), [2], torch.tensor([[1, 2]]))
    monkeypatch.setattr(model.features, "forward", lambda obs, seen: obs[..., :1] * torch.tensor([1.0, 2.0]))
    asked = []

    def inverse_model(pair: Tensor) -> Tensor:
        asked.append(pair)
        return torch.tensor([[[0.0, math.log(3.0), 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])

    def forward_model(given: Tensor) -> Tensor:
        asked.append(given)
        return given[..., :2]  # predicts that nothing changes

    monkeypatch.setattr(model.inverse, "forward", inverse_model)
    monkeypatch.setattr(model.forward_model, "forward", forward_model)
    reward, loss = model(trials(explore), belief(explore))
    assert asked[0].tolist() == [[[0, 0, 1, 2], [1, 2, 3, 6]]]
    assert asked[1].tolist() == [[[0, 0, 0, 1, 0, 0], [1, 2, 0, 0, 1, 0]]]
    assert reward.tolist() == [[(1 + 4) / 2, (4 + 16) / 2]]  # |phi^ - phi|^2 / 2
    inverse = (math.log(6 / 3) + math.log(4)) / 2  # the right action had probability 3 / 6, then 1 / 4
    assert loss.item() == pytest.approx(0.8 * inverse + 0.2 * (2.5 + 10) / 2)
    assert icm.BETA == 0.2


# -- improvement of the execution --------------------------------------------------------------------------------


def test_amounts_stand_at_the_last_step_of_each_stream() -> None:
    explore = explorations(torch.zeros(3, 4, 2, dtype=torch.int64), [3, 1, 0])
    reward = reward_at_the_end(torch.tensor([1.0, 2.0, 3.0]), explore)
    assert reward.tolist() == [[0, 0, 1], [2, 0, 0], [0, 0, 0]]


def test_improvement_by_hand() -> None:
    model = Improvement([2], WIDTH)
    explore = explorations(torch.zeros(3, 3, 2, dtype=torch.int64), [2, 1, 2])
    # two executions a trial, instructions 0 and 1; the second trial was executed on f(problem)
    some = trials(explore, [1.0, 0.0, 9.0, 9.0, -2.0, 4.0], [False, True, False])
    reward, loss = model(some, belief(explore))
    assert reward.tolist() == [[0, 0.5], [0, 0], [0, 1.0]]  # nothing is expected at first
    assert loss.item() == pytest.approx(0.5 * ((1 + 0) / 2 + (4 + 16) / 2) / 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        _, loss = model(some, belief(explore))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # What is expected: the mean return of each instruction, (1 - 2) / 2 and (0 + 4) / 2, from executions on g.
    reward, _ = model(some, belief(explore))
    torch.testing.assert_close(reward, torch.tensor([[0, -0.25], [0, 0], [0, 0.25]]), atol=0.02, rtol=0)


def test_without_decoded_executions_the_improvement_is_zero() -> None:
    explore = random_explorations(0)
    reward, loss = Improvement([2], WIDTH)(trials(explore, [1.0] * 4, [True] * 4), belief(explore))
    assert not reward.any() and loss == 0


# -- hyper-states ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 1.0), (0.25, 0.5), (0.5, 0.0), (1.0, 0.0)])
def test_hyper_state_novelty_is_annealed_and_the_improvement_stays(progress: float, weight: float) -> None:
    torch.manual_seed(0)
    model = HyperStateNovelty(SPACE, [2], Z, WIDTH)
    explore = random_explorations(1)
    assert hyperx.ANNEALED == 0.5
    reward, _ = model(trials(explore, [0.25, -1.0, 0.0, 3.0]), belief(explore, progress))
    improvement = reward_at_the_end(torch.tensor([0.25, -1.0, 0.0, 3.0]), explore)
    novelty = reward - improvement
    assert novelty.sum(1).mean().item() == pytest.approx(weight, abs=1e-5)  # in novelties of a mean trial
    assert (novelty[explore.mask] > 0).all() if weight else novelty.abs().max() < 1e-6


def test_a_new_belief_makes_a_known_place_novel() -> None:
    torch.manual_seed(0)
    model = HyperStateNovelty(SPACE, [2], Z, WIDTH)
    explore = random_explorations(1)
    known = belief(explore)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(80):
        _, loss = model(trials(explore), known)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    old = reward_for(model, trials(explore), known).sum()
    new = reward_for(model, trials(explore), belief(explore, seed=1)).sum()
    assert new > 5 * old > 0


def test_the_belief_is_that_after_the_step() -> None:
    torch.manual_seed(0)
    model = HyperStateNovelty(SPACE, [2], Z, WIDTH)
    explore = replace(random_explorations(1), mask=torch.ones(4, 6, dtype=torch.bool))
    known = belief(explore)
    other = replace(known, prefixes=known.prefixes.index_fill(1, torch.tensor([3]), 1.0))
    one, two = (reward_for(model, trials(explore), some) * model.scale for some in (known, other))
    assert ((one - two).abs() > 1e-3).any(0).tolist() == [False, False, True, False, False, False]


# -- prediction gain ---------------------------------------------------------------------------------------------


def test_the_likelihood_of_integers_by_hand() -> None:
    torch.manual_seed(0)
    model = Prediction(SPACE, ACTIONS, Z, WIDTH)
    with torch.no_grad():
        model.out.weight.zero_()
        model.out.bias.copy_(torch.tensor([0.25, 0.25, 0.25, 0.125, 0.125, 0.5, 0.25, 0.25]).log())
    before, after = torch.tensor([[[0, 0], [1, 1]]]), torch.tensor([[[4, 0], [1, 2]]])
    (given,) = model(before, torch.tensor([[0, 1]]), [torch.zeros(1, 2, Z)], after)
    torch.testing.assert_close(given, torch.tensor([[1 / 16, 1 / 16]]).log())


def test_the_likelihood_of_frames_by_hand() -> None:
    model = Prediction(FRAMES, ACTIONS, Z, WIDTH)
    with torch.no_grad():
        model.out.weight.zero_()
        model.out.bias.fill_(0.5)
    after = torch.full((1, 1, *FRAMES.shape), 255, dtype=torch.uint8)
    seen = torch.zeros(1, 1, FrameEncoder.features_of(FRAMES.shape))
    (given,) = model(seen, torch.zeros(1, 1, dtype=torch.int64), [torch.zeros(1, 1, Z)], after)
    assert given.item() == pytest.approx(-(3 * 15 * 20) * 0.5**2 / (2 * 0.1**2))


def test_prediction_gain_is_zero_where_the_problem_predicts_nothing() -> None:
    """Both predictions are one network's: where the code of the problem is zero they are the same, frames included."""
    for space, frames in ((SPACE, False), (FRAMES, True)):
        model = reward_of("prediction", space)
        explore = random_explorations(3, frames=frames)
        assert reward_for(model, trials(explore), belief(explore)).abs().max() > 0.0
        with torch.no_grad():
            model.problem.out.weight.zero_()
        assert reward_for(model, trials(explore), belief(explore)).abs().max() == 0.0


# -- posterior ---------------------------------------------------------------------------------------------------


class Factors(nn.Module):
    """Psi of a transition whose features are its mean and log precision."""

    def forward(self, features: Tensor) -> Tensor:
        return features


def by_hand() -> GaussianPosterior:
    posterior = GaussianPosterior(2, 1)
    posterior.factor = Factors()  # type: ignore[assignment]
    with torch.no_grad():
        posterior.prior_mean.fill_(1.0)
        posterior.prior_log_precision.fill_(math.log(4.0))
    return posterior


def test_a_product_of_gaussians_by_hand() -> None:
    explore = explorations(torch.zeros(1, 4, 2, dtype=torch.int64), [2])
    features = torch.tensor([[[9.0, 9.0], [5.0, math.log(12.0)], [-1.0, math.log(16.0)], [7.0, 7.0]]])
    mean, deviation = by_hand()(features, explore)
    # precisions 4, 12, 16: the prior; (4 * 1 + 12 * 5) / 16; (4 * 1 + 12 * 5 - 16) / 32. Padding has no weight.
    assert mean[0, :, 0].tolist() == pytest.approx([1.0, 4.0, 1.5, 1.5])
    assert deviation[0, :, 0].tolist() == pytest.approx([1 / 2, 1 / 4, 32**-0.5, 32**-0.5])


def test_a_reset_step_has_no_weight_in_the_posterior() -> None:
    explore = explorations(torch.zeros(1, 3, 2, dtype=torch.int64), [2], resets=(0,))
    features = torch.tensor([[[9.0, 9.0], [5.0, math.log(12.0)], [-1.0, math.log(16.0)]]])
    assert explore.reset_step.tolist() == [[True, False]]
    mean, _ = by_hand()(features, explore)
    assert mean[0, :, 0].tolist() == pytest.approx([1.0, 1.0, (4 - 16) / 20])


def test_the_loss_of_the_posterior_by_hand() -> None:
    explore = explorations(torch.zeros(2, 3, 2, dtype=torch.int64), [1, 0])
    features = torch.tensor([[9.0, 9.0], [5.0, math.log(12.0)], [0.0, 0.0]]).expand(2, 3, 2)
    loss = by_hand().loss(torch.tensor([[3.0], [1.0]]), features, explore)

    def nll(z: float, mean: float, deviation: float) -> float:
        return 0.5 * ((z - mean) / deviation) ** 2 + math.log(deviation * math.sqrt(2 * math.pi))

    assert loss.item() == pytest.approx((nll(3, 1, 0.5) + nll(3, 4, 0.25) + nll(1, 1, 0.5)) / 3)


def test_samples_come_from_the_prior_then_from_the_posterior_of_whole_explorations() -> None:
    explore = explorations(torch.zeros(2, 3, 2, dtype=torch.int64), [2, 1])
    features = torch.tensor([[9.0, 9.0], [5.0, math.log(12.0)], [-1.0, math.log(16.0)]]).expand(2, 3, 2)
    noise = torch.tensor([[2.0], [-1.0]])
    assert by_hand().sample(None, None, noise).tolist() == [[1 + 2 / 2], [1 - 1 / 2]]
    drawn = by_hand().sample(features, explore, noise)
    assert drawn[:, 0].tolist() == pytest.approx([1.5 + 2 * 32**-0.5, 4.0 - 1 / 4])


def test_the_posterior_ignores_the_order_of_transitions_and_neighbours() -> None:
    torch.manual_seed(0)
    posterior = GaussianPosterior(WIDTH, Z)
    explore = random_explorations(0, n=3)
    explore = replace(explore, mask=torch.arange(6) < torch.tensor([[6], [4], [1]]))
    features = torch.randn(3, 7, WIDTH)
    mean, deviation = posterior(features, explore)
    shuffled = features[:, [0, 4, 2, 1, 3, 5, 6]]
    for one, other in zip((mean, deviation), posterior(shuffled, explore), strict=True):
        torch.testing.assert_close(one[:2, 4], other[:2, 4])  # after four transitions in another order
        assert not torch.allclose(one[:2, 1], other[:2, 1], rtol=1e-5, atol=1e-7)
    alone = posterior(
        torch.cat([features[1:2, :5], torch.full((1, 2, WIDTH), 9.0)], 1), explore.select(torch.tensor([1]))
    )
    torch.testing.assert_close(alone[0][0, :5], mean[1, :5])
    torch.testing.assert_close(alone[0][0, 6], mean[1, 4])


def test_the_posterior_fits_the_codes() -> None:
    """Maximum likelihood: the prior has the codes' mean and spread, a distinguishing transition a precise factor."""
    torch.manual_seed(0)
    posterior = GaussianPosterior(WIDTH, 1)
    code = torch.tensor([[1.0], [-1.0]]).repeat(16, 1)
    explore = explorations(torch.zeros(32, 3, 2, dtype=torch.int64), [2] * 32)
    features = torch.zeros(32, 3, WIDTH)
    features[:, 2, 0] = code[:, 0]  # the second transition is the informative one
    optimizer = torch.optim.Adam(posterior.parameters(), lr=0.01)
    for _ in range(800):
        loss = posterior.loss(code, features, explore)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mean, deviation = posterior(features, explore)
    assert mean[:, :2].abs().max() < 0.2 and (deviation[:, :2] - 1).abs().max() < 0.2
    torch.testing.assert_close(mean[:, 2], code, atol=0.2, rtol=0)
    assert deviation[:, 2].max() < 0.5
