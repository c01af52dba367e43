"""Networks: single steps agree with whole streams, and no member depends on another."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dream.core.actions import Actions
from dream.core.embedding import DiscreteEncoder
from dream.core.heads import DuelingHead
from dream.core.memories import LSTMMemory
from dream.core.networks import (
    KEY_SIZE,
    RecurrentPolicy,
    StepEncoder,
    load_named_weights,
    named_weights,
    normed_relu,
    update_average,
)
from dream.core.observations import observation_encoder
from dream.spaces import integer_space

SPACE = integer_space([4, 3])
TWO, SIX = (Actions(gym.spaces.Discrete(n)) for n in (2, 6))
STREAMS, STEPS = 5, 7


@pytest.fixture
def stream() -> tuple[Tensor, Tensor, Tensor]:
    """Observations (N, T, 2), integers beside them (N, T, 2), z (N, 1, 3)."""
    rng = np.random.default_rng(0)
    obs = torch.from_numpy(rng.integers([4, 3], size=(STREAMS, STEPS, 2)).astype(np.int16))
    integers = torch.from_numpy(rng.integers([6, 2], size=(STREAMS, STEPS, 2)))
    return obs, integers, torch.from_numpy(rng.normal(size=(STREAMS, 1, 3)).astype(np.float32))


@pytest.fixture
def network() -> RecurrentPolicy:
    torch.manual_seed(0)
    return RecurrentPolicy(SPACE, SIX, width=12, memory_size=8, integers=[6, 2], z_dim=3)


def test_steps_agree_with_the_whole_stream(network: RecurrentPolicy, stream: tuple[Tensor, Tensor, Tensor]) -> None:
    obs, integers, z = stream
    whole = network(obs, integers, z)
    assert whole.shape == (STREAMS, STEPS, 6)
    state = None
    for t in range(STEPS):
        q, state = network.step(obs[:, t], integers[:, t], z[:, 0], state)
        torch.testing.assert_close(q, whole[:, t])
    assert state is not None
    _, _, maximum = state
    features = network.encoder(obs, integers, z)
    torch.testing.assert_close(maximum, network.memory.maximum(features).amax(1))


def test_every_part_of_the_memory_is_used(network: RecurrentPolicy, stream: tuple[Tensor, Tensor, Tensor]) -> None:
    obs, integers, z = stream
    _, state = network.step(obs[:, 0], integers[:, 0], z[:, 0], None)
    plain, _ = network.step(obs[:, 1], integers[:, 1], z[:, 0], state)
    for part in range(3):
        other = list(state)
        other[part] = other[part] + 1.0
        changed, _ = network.step(obs[:, 1], integers[:, 1], z[:, 0], tuple(other))  # type: ignore[arg-type]
        assert (changed - plain).abs().amax(1).min() > 1e-4, part


def test_neighbours_and_later_steps_do_not_change_an_output(
    network: RecurrentPolicy, stream: tuple[Tensor, Tensor, Tensor]
) -> None:
    obs, integers, z = stream
    whole = network(obs, integers, z)
    for member in range(STREAMS):
        alone = network(obs[[member]], integers[[member]], z[[member]])
        torch.testing.assert_close(alone[0], whole[member])
    other_obs, other_integers = obs.clone(), integers.clone()
    other_obs[1:], other_integers[1:] = 0, 1
    other_obs[0, 4:], other_integers[0, 4:] = 2, 0
    torch.testing.assert_close(network(other_obs, other_integers, z)[0, :4], whole[0, :4])
    assert not torch.allclose(network(other_obs, other_integers, z)[0, 4:], whole[0, 4:])


def test_integers_and_z_may_be_the_same_for_a_whole_stream(
    network: RecurrentPolicy, stream: tuple[Tensor, Tensor, Tensor]
) -> None:
    obs, integers, z = stream
    once = integers[:, :1]
    torch.testing.assert_close(network(obs, once, z), network(obs, once.expand(-1, STEPS, -1), z.expand(-1, STEPS, -1)))


def test_the_policy_depends_on_each_input(network: RecurrentPolicy, stream: tuple[Tensor, Tensor, Tensor]) -> None:
    obs, integers, z = stream
    whole = network(obs, integers, z)
    assert not torch.allclose(network(obs, integers, z + 1), whole)
    assert not torch.allclose(network(obs, 1 - integers.clamp(max=1), z), whole)
    assert not torch.allclose(network(obs * 0, integers, z), whole)


def test_an_encoder_is_a_linear_layer_on_one_hots() -> None:
    torch.manual_seed(0)
    encoder = DiscreteEncoder([4, 3, 2], 5)
    values = torch.tensor([[0, 2, 1], [3, 0, 0], [1, 1, 1]])
    one_hot = torch.cat([F.one_hot(values[:, i], size) for i, size in enumerate((4, 3, 2))], -1).float()
    torch.testing.assert_close(encoder(values), one_hot @ encoder.table)
    torch.testing.assert_close(encoder(values.to(torch.int16)[None, None]), (one_hot @ encoder.table)[None, None])


def test_the_weights_of_an_encoder_are_its_table() -> None:
    assert list(DiscreteEncoder([4, 3], 5).state_dict()) == ["table"]


def test_a_policy_takes_z_and_integers_only_where_it_has_sizes_for_them() -> None:
    plain = RecurrentPolicy(SPACE, TWO, width=4, memory_size=4).encoder
    assert plain.scale_shift is None and plain.combined is None and plain.integers is None
    full = RecurrentPolicy(SPACE, TWO, width=4, memory_size=4, integers=[2], z_dim=3).encoder
    assert full.scale_shift is not None and full.integers is not None


def test_the_sizes_of_an_observation_space_are_those_of_its_encoder() -> None:
    encoder = observation_encoder(SPACE, 5)
    assert isinstance(encoder, DiscreteEncoder) and encoder.sizes == (4, 3)


def test_z_scales_and_shifts_the_features() -> None:
    torch.manual_seed(0)
    encoder = StepEncoder(SPACE, 6, z_dim=2)
    assert encoder.scale_shift is not None and encoder.combined is not None
    obs, z = torch.tensor([[1, 2]]), torch.tensor([[0.5, -2.0]])
    scale, shift = encoder.scale_shift(z).split(6, -1)
    h = encoder.combined(normed_relu(encoder.obs(obs)))
    h = (h - h.mean()) / (h.var(unbiased=False) + 1e-5).sqrt() * (1 + scale) + shift
    torch.testing.assert_close(encoder(obs, None, z), normed_relu(encoder.hidden(normed_relu(h))))


def test_what_z_answers_to_an_instruction_scales_and_shifts_the_features() -> None:
    torch.manual_seed(0)
    encoder = StepEncoder(SPACE, 6, integers=[3, 2], z_dim=2, asks=True)
    assert encoder.scale_shift is not None and encoder.combined is not None and encoder.question is not None
    assert encoder.integers is None
    question, obs, z, asked = encoder.question, *map(torch.tensor, ([[1, 2]], [[0.5, -2.0]], [[2, 1]]))
    keys = question.keys(z)[0].split(KEY_SIZE)
    queries = [query(asked[:, [k]])[0] for k, query in enumerate(question.queries)]
    matches = torch.stack([key @ query / KEY_SIZE**0.5 for key in keys for query in queries])[None]
    scale, shift = encoder.scale_shift(normed_relu(question.hidden(matches))).split(6, -1)
    h = encoder.combined(normed_relu(encoder.obs(obs)))
    h = (h - h.mean()) / (h.var(unbiased=False) + 1e-5).sqrt() * (1 + scale) + shift
    torch.testing.assert_close(encoder(obs, asked, z), normed_relu(encoder.hidden(normed_relu(h))))
    without = StepEncoder(SPACE, 6, z_dim=2, asks=True)  # nothing to ask with
    assert without.question is None and without(obs, None, z).shape == (1, 6)


def test_integers_and_numbers_are_added_to_the_observation() -> None:
    torch.manual_seed(0)
    encoder = StepEncoder(SPACE, 6, integers=[3, 2], numbers=2)
    assert encoder.integers is not None and encoder.numbers is not None and encoder.scale_shift is None
    obs, integers, numbers = torch.tensor([[1, 2]]), torch.tensor([[2, 1]]), torch.tensor([[0.5, -3.0]])
    h = encoder.obs(obs) + encoder.integers(integers) + numbers @ encoder.numbers.weight.T
    expected = normed_relu(encoder.hidden(normed_relu(h)))
    torch.testing.assert_close(encoder(obs, integers, numbers=numbers), expected)
    plain = StepEncoder(SPACE, 6)
    assert plain.integers is None and plain.numbers is None
    torch.testing.assert_close(plain(obs), normed_relu(plain.hidden(normed_relu(plain.obs(obs)))))


def test_the_dueling_mean_is_per_state() -> None:
    torch.manual_seed(0)
    head = DuelingHead(4, 8, 3)
    features = torch.randn(2, 5, 4)
    q = head(features)
    hidden = F.relu(head.hidden(features))
    advantage = head.advantage(hidden)
    for n in range(2):
        for t in range(5):
            by_hand = head.value(hidden[n, t]) + advantage[n, t] - sum(advantage[n, t]) / 3
            torch.testing.assert_close(q[n, t], by_hand)
    torch.testing.assert_close(q.mean(-1, keepdim=True), head.value(hidden))
    torch.testing.assert_close(head(torch.cat([features, 100 * torch.randn(3, 5, 4)]))[:2], q)


def test_the_memory_holds_the_running_maximum() -> None:
    torch.manual_seed(0)
    memory = LSTMMemory(3, 4)
    features = torch.rand(1, 6, 3)
    out = memory(features)
    assert out.shape == (1, 6, memory.out_features)
    torch.testing.assert_close(out[..., :3], features)
    mapped = memory.maximum(features)
    for t in range(6):
        torch.testing.assert_close(out[:, t, -3:], mapped[:, : t + 1].amax(1))


def test_an_average_moves_by_its_rate() -> None:
    torch.manual_seed(0)
    online, average = nn.Linear(3, 2), nn.Linear(3, 2)
    before, target = copy.deepcopy(average), copy.deepcopy(online)
    update_average(average, online, 0.25)
    torch.testing.assert_close(average.weight, 0.75 * before.weight + 0.25 * online.weight)
    torch.testing.assert_close(average.bias, 0.75 * before.bias + 0.25 * online.bias)
    assert torch.equal(online.weight, target.weight) and torch.equal(online.bias, target.bias)
    update_average(average, online, 1.0)
    torch.testing.assert_close(average.weight, online.weight)
    assert average.weight.requires_grad and average.weight.grad_fn is None


def test_named_weights_of_several_modules_are_loaded_into_the_right_ones() -> None:
    torch.manual_seed(0)
    saved = {"a": nn.Linear(3, 2), "ab": nn.Linear(3, 2)}
    weights = named_weights(saved)
    assert list(weights) == ["a.weight", "a.bias", "ab.weight", "ab.bias"]
    loaded = {"a": nn.Linear(3, 2), "ab": nn.Linear(3, 2)}
    load_named_weights(loaded, weights)
    for name, module in saved.items():
        assert torch.equal(loaded[name].weight, module.weight) and torch.equal(loaded[name].bias, module.bias)
    with pytest.raises(RuntimeError, match="Missing key"):
        load_named_weights(loaded, {name: value for name, value in weights.items() if name != "ab.bias"})
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_named_weights({"a": nn.Linear(4, 2)}, weights)
