"""The transformer: causal, the same step by step as over whole streams, and as a block in plain loops."""

import cmath

import pytest
import torch
from torch.nn import functional as F

from dream.core.memories.transformer import TransformerMemory, rotate, rotations

WIDTH, LENGTH = 16, 9


@pytest.fixture
def core() -> TransformerMemory:
    torch.manual_seed(0)
    return TransformerMemory(WIDTH, LENGTH, layers=2, heads=2)


def some_features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, WIDTH, generator=torch.Generator().manual_seed(1))


def test_steps_agree_with_whole_streams(core: TransformerMemory) -> None:
    features, memory = some_features(3, LENGTH), None
    whole = core(features)
    for t in range(LENGTH):
        out, memory = core.step(features[:, t], memory)
        torch.testing.assert_close(out, whole[:, t])
    assert memory is not None and memory[0].tolist() == [LENGTH] * 3


def test_members_may_be_at_different_steps(core: TransformerMemory) -> None:
    """A member that waits keeps its memory, whatever was written into the new one."""
    features = some_features(2, 5)
    _, memory = core.step(features[:, 0], None)
    for t in (1, 2):
        _, after = core.step(features[:, t], memory)
        moves = torch.tensor([True, False])
        memory = tuple(
            torch.where(moves.view(-1, *[1] * (new.ndim - 1)), new, old) for old, new in zip(memory, after, strict=True)
        )
    assert memory[0].tolist() == [3, 1]
    out, _ = core.step(torch.stack([features[0, 3], features[1, 1]]), memory)
    torch.testing.assert_close(out[0], core(features[:1])[0, 3])
    torch.testing.assert_close(out[1], core(features[1:])[0, 1])


def test_a_step_does_not_modify_the_given_state(core: TransformerMemory) -> None:
    features = some_features(2, 3)
    _, memory = core.step(features[:, 0], None)
    before = [tensor.clone() for tensor in memory]
    core.step(features[:, 1], memory)
    assert all(torch.equal(old, now) for old, now in zip(before, memory, strict=True))


def test_outputs_do_not_depend_on_later_steps_neighbours_or_padding(core: TransformerMemory) -> None:
    features = some_features(2, 6)
    other = features.clone()
    other[0], other[1, 4:] = 7.0, -7.0
    torch.testing.assert_close(core(other)[1, :4], core(features)[1, :4])
    torch.testing.assert_close(core(features[1:, :4])[0], core(features)[1, :4])
    assert not torch.allclose(core(other)[1, 4], core(features)[1, 4])


def test_the_order_of_the_past_matters(core: TransformerMemory) -> None:
    features = some_features(1, 6)
    swapped = features[:, [1, 0, 2, 3, 4, 5]]
    assert not torch.allclose(core(swapped)[:, -1], core(features)[:, -1], atol=1e-6)


def test_a_rotation_by_hand() -> None:
    """Components 0 and 2 are a pair, 1 and 3 the other one: a quarter turn, and none."""
    turns = torch.tensor([[0.0, 1.0], [1.0, 0.0]])[:, None]  # cos, sin of (90, 0) degrees
    turned = rotate(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), turns)
    torch.testing.assert_close(turned, torch.tensor([[-3.0, 2.0, 1.0, 4.0]]))


def test_attention_depends_on_distance_not_on_place(core: TransformerMemory) -> None:
    """With rotary positions query . key is a function of how far apart they are."""
    query, key = some_features(1).view(1, 2, 8)[:, :1], some_features(2)[1:].view(1, 2, 8)[:, :1]

    def score(i: int, j: int) -> float:
        turns = rotations(torch.tensor([i, j]), core.frequency)
        return float((rotate(query, turns[:1]) * rotate(key, turns[1:])).sum())

    assert score(5, 2) == pytest.approx(score(8, 5), abs=1e-5)
    assert score(5, 2) != pytest.approx(score(5, 3), abs=1e-3)


def test_widths_that_heads_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8: 12"):
        TransformerMemory(12, 4, heads=4)


def test_a_transformer_by_hand() -> None:
    """One block in plain loops: causal attention of pairs of components turned by their place, then the MLP."""
    torch.manual_seed(0)
    core = TransformerMemory(8, 5, layers=1, heads=2)
    (block,) = core.blocks
    with torch.no_grad():  # far from zero, so that every part shows
        for parameter in core.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    x = torch.randn(1, 5, 8)
    query, key, value = block.project(block.norm(x))[0].double().split(8, -1)
    frequency = (1.0, 0.01)  # 10,000^(-i / 2) of the two pairs of a head's four components

    def turned(vector: torch.Tensor, head: int, place: int) -> list[complex]:
        one = vector[4 * head : 4 * head + 4].tolist()
        return [complex(one[i], one[i + 2]) * cmath.exp(1j * place * frequency[i]) for i in range(2)]

    rows = []
    for t in range(5):
        parts = []
        for head in range(2):
            asks = turned(query[t], head, t)
            keys = [turned(key[s], head, s) for s in range(t + 1)]
            scores = [sum((a.conjugate() * b).real for a, b in zip(asks, one, strict=True)) / 2 for one in keys]
            weight = torch.tensor(scores, dtype=torch.float64).softmax(0)
            parts.append(weight @ value[: t + 1, 4 * head : 4 * head + 4])
        h = x[0, t] + block.out(torch.cat(parts).float())
        rows.append(core.norm(h + block.mlp_out(F.gelu(block.mlp_in(block.mlp_norm(h))))))
    torch.testing.assert_close(core(x)[0], torch.stack(rows), atol=1e-5, rtol=1e-4)


def test_frequencies_of_positions_fall_from_1_to_1_in_10_000() -> None:
    torch.testing.assert_close(
        TransformerMemory(32, 4, heads=2).frequency, 10.0 ** -(torch.arange(8) / 2), rtol=1e-6, atol=0
    )


def test_residual_branches_start_small() -> None:
    """Each of the 2 * layers sums starts with weights scaled by 1 / sqrt(2 * layers)."""
    torch.manual_seed(0)
    for layers in (1, 3):
        for block in TransformerMemory(32, 4, layers=layers).blocks:
            for layer in (block.out, block.mlp_out):
                largest = float(layer.weight.detach().abs().max()) * layer.in_features**0.5
                assert largest == pytest.approx((2 * layers) ** -0.5, rel=0.02)
