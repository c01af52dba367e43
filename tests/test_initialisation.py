"""Networks start as documented: outputs near zero where large ones would be arbitrary, memories that remember."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from dream.core.actions import Actions
from dream.core.bottleneck import ProblemEncoder, TrajectoryEncoder
from dream.core.embedding import DiscreteEncoder
from dream.core.memories import LSTMMemory, TransformerMemory
from dream.envs import make
from dream.exploration.outcome import Improvement
from dream.exploration.posterior import GaussianPosterior
from dream.spaces import integer_space
from tests.small_training import build

SPACE = integer_space([4, 3])
ACTIONS = Actions(gym.spaces.Discrete(3))
WIDTH, Z = 16, 5


def scale_of(layer: nn.Linear) -> float:
    """Largest weight relative to PyTorch's bound, 1 / sqrt(inputs): about 1 for a layer that was not scaled."""
    return float(layer.weight.detach().abs().max()) * layer.in_features**0.5


def starts_at(layer: nn.Linear, scale: float) -> None:
    assert 0.7 * scale < scale_of(layer) <= scale + 1e-6
    assert not layer.bias.any()


def test_codes_of_f_start_near_zero() -> None:
    torch.manual_seed(0)
    starts_at(ProblemEncoder([50], width=WIDTH, z_dim=Z, initial_scale=0.25).out, 0.25)


def test_outputs_of_g_start_near_zero() -> None:
    torch.manual_seed(0)
    g = TrajectoryEncoder(SPACE, ACTIONS, width=WIDTH, memory_size=6, z_dim=Z, single=True)
    starts_at(g.out, 0.1)
    assert g.single is not None
    starts_at(g.single, 0.1)
    assert TrajectoryEncoder(SPACE, ACTIONS, width=WIDTH, memory_size=6, z_dim=Z).single is None


@pytest.mark.parametrize(("memory", "bias"), [(LSTMMemory(3, 4), 1.0), (LSTMMemory(3, 4, forget_bias=2.5), 2.5)])
def test_memories_start_with_open_forget_gates(memory: LSTMMemory, bias: float) -> None:
    """The gates are input, forget, cell, output; the others keep PyTorch's initialisation, at most 1/sqrt(4)."""
    started = memory.lstm.get_parameter("bias_ih_l0").view(4, 4)
    assert started[1].tolist() == [bias] * 4
    assert started[[0, 2, 3]].abs().max() <= 0.5


def test_the_memory_of_g_forgets_least() -> None:
    g = TrajectoryEncoder(SPACE, ACTIONS, width=WIDTH, memory_size=6, z_dim=Z)
    assert g.memory.lstm.get_parameter("bias_ih_l0").view(4, 6)[1].tolist() == [2.0] * 6


def test_embeddings_of_several_components_start_with_variance_one_together() -> None:
    torch.manual_seed(0)
    for sizes in ([40], [40, 30, 20, 10]):
        table = DiscreteEncoder(sizes, 200).table
        assert table.shape == (sum(sizes), 200)
        assert float(table.detach().var()) * len(sizes) == pytest.approx(1.0, abs=0.05)


def test_the_posterior_starts_at_its_prior() -> None:
    torch.manual_seed(0)
    posterior = GaussianPosterior(WIDTH, Z)
    assert not posterior.prior_mean.any() and not posterior.prior_log_precision.any()
    out = posterior.factor[2]
    assert isinstance(out, nn.Linear)
    assert 0.07 < scale_of(out) <= 0.1 + 1e-6
    assert out.bias.tolist() == [0.0] * Z + [-6.0] * Z


def test_no_improvement_is_expected_at_first() -> None:
    value = Improvement([2, 3], WIDTH).value
    assert not value.weight.any() and not value.bias.any()


def test_contexts_of_import_and_beliefs_of_varibad_start_near_zero() -> None:
    starts_at(build("import", bottleneck__init_scale=0.25)[0].networks.context, 0.25)
    starts_at(build("varibad")[0].networks.belief, 0.1)


def test_averaged_networks_start_as_the_online_ones() -> None:
    for name in ("dream", "e-rl2"):
        weights = build(name)[0].weights()
        assert all(torch.equal(value, weights[name.replace("averaged.", "online.")]) for name, value in weights.items())


def test_settings_of_a_pair_reach_its_networks() -> None:
    method, _ = build("dream", network__width=24, network__memory_size=7, bottleneck__z_dim=3)
    net, env = method.networks, make("signpost", 1)
    assert net.f.out.weight.shape == net.g.out.weight.shape == (3, 24)
    for memory in (net.g.memory, net.explorer.policy.memory, net.executor.policy.memory):
        assert (memory.lstm.input_size, memory.lstm.hidden_size) == (24, 7)
    assert net.executor.policy.head.advantage.out_features == int(env.single_action_space.n)
    assert net.g.single is not None and build("dream", learning__transition_batch_size=0)[0].networks.g.single is None


@pytest.mark.parametrize("name", ["rl2", "e-rl2", "import", "varibad"])
def test_an_end_to_end_policy_has_the_memory_of_its_setting(name: str) -> None:
    for setting, kind in (("lstm", LSTMMemory), ("transformer", TransformerMemory)):
        method, env = build(name, network__memory=setting, trial__explore_episodes=2, trial__execute_episodes=3)
        memory = method.networks.trial.memory
        assert isinstance(memory, kind)
        if isinstance(memory, TransformerMemory):
            assert memory.length == 5 * (env.horizon + 1)  # every observation of a trial fits
            assert memory.out_features == method.config.network.width
        else:
            assert memory.lstm.hidden_size == method.config.network.memory_size


def test_log_deviations_of_a_belief_stay_between_minus_5_and_2() -> None:
    method, env = build("varibad", bottleneck__z_dim=3)
    net = method.networks
    with torch.no_grad():
        net.belief.weight.zero_()
        net.belief.bias.copy_(torch.tensor([100.0, 0.0, -100.0, 100.0, 0.5, -100.0]))
    obs, _ = env.reset(options={"problem_id": np.arange(12) % 2, "phase": "explore"})
    before = method.layout.actions.nothing(12)
    inputs = method.layout.inputs(
        before, torch.zeros(12), torch.ones(12, dtype=torch.bool), torch.zeros(12, 1, dtype=torch.int64), exploring=True
    )
    features = net.encode_frames(torch.from_numpy(obs), torch.ones(12, dtype=torch.bool))
    belief, _ = net.remember(features, inputs, None)
    assert belief[0].tolist() == [100.0, 0.0, -100.0, 2.0, 0.5, -5.0]


def test_the_expected_outcome_is_one_number() -> None:
    assert Improvement([2, 3], WIDTH).value.out_features == 1
