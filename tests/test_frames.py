"""The pixel path: what the frame encoder computes, which frames it encodes, and that it learns."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dream.config import TrainConfig, override
from dream.core import frames as module
from dream.core.actions import Actions
from dream.core.bottleneck import TrajectoryEncoder
from dream.core.embedding import DiscreteEncoder
from dream.core.frames import FrameEncoder
from dream.core.networks import RecurrentPolicy
from dream.core.observations import Encoded, Unchanged, frame_encoder, observation_encoder
from dream.core.pooled_frames import PlacedFrames, PooledFrames
from dream.core.trial import Episodes
from dream.envs.signpost.family import Signpost
from dream.methods.build import build_method
from dream.spaces import is_image
from dream.training.rounds import Training, rounds

SHAPE = (28, 36, 3)
SPACE = gym.spaces.Box(0, 255, SHAPE, np.uint8)
ACTIONS = Actions(gym.spaces.Discrete(4))


def some_frames(*leading: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (*leading, *SHAPE), generator=generator, dtype=torch.uint8)


@pytest.fixture
def encoder() -> FrameEncoder:
    torch.manual_seed(0)
    return FrameEncoder(SPACE)


def test_the_features_are_those_of_plain_convolutions_on_centred_pixels(encoder: FrameEncoder) -> None:
    frames = some_frames(5)
    pixels = 4.0 * (frames.double().permute(0, 3, 1, 2) / 255.0 - 0.5)
    first = F.relu(F.conv2d(pixels, encoder.first.weight.double(), encoder.first.bias.double(), stride=4))
    second = F.conv2d(first, encoder.second.weight.double(), encoder.second.bias.double(), stride=2).flatten(1)
    scale = (second.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    expected = F.relu((second - second.mean(1, keepdim=True)) / scale)
    torch.testing.assert_close(encoder(frames), expected.float(), rtol=1e-4, atol=1e-4)
    assert encoder.out_features == expected.shape[1] == FrameEncoder.features_of(SHAPE)


@pytest.mark.parametrize("side", range(20, 28))
def test_frames_of_every_size_have_as_many_features_as_announced(side: int) -> None:
    shape = (side, 47 - side, 3)
    frames = torch.zeros(1, *shape, dtype=torch.uint8)
    space = gym.spaces.Box(0, 255, shape, np.uint8)
    assert FrameEncoder(space)(frames).shape == (1, FrameEncoder.features_of(shape))


def test_leading_dimensions_chunks_and_neighbours_do_not_change_features(
    encoder: FrameEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = some_frames(3, 4)
    whole = encoder(frames)
    torch.testing.assert_close(encoder(frames.flatten(0, 1)), whole.flatten(0, 1))
    torch.testing.assert_close(encoder(frames[1, 2]), whole[1, 2])
    monkeypatch.setattr(module, "CHUNK", 5)
    torch.testing.assert_close(encoder(frames), whole)
    other = frames.clone()
    other[0] = 7
    torch.testing.assert_close(encoder(other)[1:], whole[1:])


def test_padding_frames_are_not_encoded(encoder: FrameEncoder) -> None:
    frames, seen = some_frames(2, 3), torch.tensor([[True, True, False], [True, False, False]])
    features = encoder(frames, seen)
    torch.testing.assert_close(features[seen], encoder(frames)[seen])
    assert (features[~seen] == 0).all()
    features.square().sum().backward()
    gradient = encoder.first.weight.grad
    assert gradient is not None
    other, encoder.first.weight.grad = frames.masked_fill(~seen[..., None, None, None], 255), None
    encoder(other, seen).square().sum().backward()
    assert encoder.first.weight.grad is not None
    torch.testing.assert_close(encoder.first.weight.grad, gradient)


@pytest.mark.parametrize(("kind", "size"), [(PooledFrames, 64 + 96), (PlacedFrames, 64 + 640)])
def test_pooled_features_do_not_depend_on_padding_neighbours_or_small_shifts(
    kind: type[PooledFrames], size: int
) -> None:
    """A word moved by the strides of the convolutions, 6 pixels, is the same to the pooled features."""
    torch.manual_seed(0)
    space = gym.spaces.Box(0, 255, (60, 80, 3), np.uint8)
    pooled = kind(space)
    frames = torch.full((3, 60, 80, 3), 90, dtype=torch.uint8)
    word = torch.randint(0, 256, (12, 18, 3), dtype=torch.uint8)
    frames[0, 18:30, 24:42], frames[1, 18:30, 30:48] = word, word
    features = pooled(frames)
    assert features.shape == (3, pooled.out_features) == (3, size)
    whole = features[:, :64]
    assert (whole[0] - whole[1]).norm() < 0.1 * (whole[0] - whole[2]).norm()
    assert (features[0, 64:] - features[1, 64:]).norm() > (whole[0] - whole[1]).norm()  # the grid says where
    torch.testing.assert_close(pooled(frames[1:2]), features[1:2])
    seen = torch.tensor([True, False, True])
    masked = pooled(frames, seen)
    torch.testing.assert_close(masked[seen], features[seen])
    assert not masked[1].any()
    for other in (SPACE, space):
        encoded = kind(other)
        assert frame_encoder(Encoded(other, kind, encoded.out_features)).out_features == size
    for wrong in (gym.spaces.Box(0, 255, (22, 80, 3), np.uint8), gym.spaces.Box(0, 1, (60, 80, 3), np.float32)):
        with pytest.raises(ValueError, match="reads images of at least 23 x 23"):
            kind(wrong)


def test_which_spaces_are_frames() -> None:
    assert is_image(SPACE)
    assert not is_image(gym.spaces.Box(0, 1, SHAPE, np.float32))
    assert not is_image(gym.spaces.Box(0, 255, (5,), np.uint8))
    assert isinstance(frame_encoder(SPACE), FrameEncoder)
    integers = gym.spaces.MultiDiscrete([3, 2])
    obs = torch.tensor([[1, 0]])
    assert isinstance(frame_encoder(integers), Unchanged) and frame_encoder(integers)(obs) is obs
    assert isinstance(observation_encoder(integers, 4), DiscreteEncoder)
    with pytest.raises(ValueError, match=r"frames of 4 x 36 pixels are too small: give at least 5 x 5"):
        FrameEncoder(gym.spaces.Box(0, 255, (4, 36, 3), np.uint8))
    with pytest.raises(ValueError, match=r"observations are MultiDiscrete.*: FrameEncoder reads images"):
        FrameEncoder(integers)


def test_a_policy_on_frames_acts_step_by_step_as_on_the_whole_stream() -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(SPACE)
    network = RecurrentPolicy(SPACE, ACTIONS, width=12, memory_size=8, integers=[5], z_dim=3)
    frames, integers, z = some_frames(2, 5), torch.randint(5, (2, 5, 1)), torch.randn(2, 1, 3)
    whole = network(encoder(frames), integers, z)
    state = None
    for t in range(5):
        q, state = network.step(encoder(frames[:, t]), integers[:, t], z[:, 0], state)
        torch.testing.assert_close(q, whole[:, t])


def streams(frames: torch.Tensor) -> Episodes:
    count, steps = frames.shape[0], frames.shape[1] - 1
    blank = torch.zeros(count, steps)
    return Episodes(
        obs=frames,
        action=torch.randint(4, (count, steps), generator=torch.Generator().manual_seed(1)),
        reward=blank,
        terminated=blank.bool(),
        mask=~blank.bool(),
        start=blank.bool(),
        instruction=torch.zeros(count, 1, dtype=torch.int64),
    )


def test_g_on_one_transition_is_g_on_that_step_of_a_stream() -> None:
    torch.manual_seed(0)
    g = TrajectoryEncoder(SPACE, ACTIONS, width=12, memory_size=6, z_dim=3, single=True)
    assert g.single is not None
    whole = streams(some_frames(2, 4))
    one = Episodes(**{k: getattr(whole, k)[:, 1:2] for k in ("action", "reward", "terminated", "mask", "start")},
                   obs=whole.obs[:, 1:3], instruction=whole.instruction)  # fmt: skip
    torch.testing.assert_close(g.from_single(one)[:, 0], g.single(g.transitions(whole)[:, 2]))
    assert TrajectoryEncoder(SPACE, ACTIONS, width=12, memory_size=6, z_dim=3).single is None


class PixelSignpost(Signpost):
    """The signpost seen as a picture: a bright column for where one stands, the upper half in a colour for the sign."""

    summary = "signpost in pixels, for tests"

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.single_observation_space = gym.spaces.Box(0, 255, (20, 25, 3), np.uint8)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)

    def _observe(self) -> np.ndarray:
        place, sign = super()._observe().T
        frames = np.full((self.num_envs, 20, 25, 3), 60, np.uint8)
        columns = np.arange(25) // 5 == place[:, None]
        frames[:, 12:] = np.where(columns[:, None, :, None], 220, 60)
        for problem in range(2):
            frames[sign == problem + 1, :12, :, 2 * problem] = 200
        return frames


def test_dream_learns_from_pixels() -> None:
    settings = {
        "network.width": 32,
        "network.memory_size": 16,
        "learning.num_envs": 32,
        "learning.updates_per_round": 4,
        "learning.explore_batch_size": 16,
        "learning.execute_batch_size": 16,
        "learning.transition_batch_size": 16,
        "learning.learning_starts": 128,
        "learning.buffer_size": 2000,
    }
    config = override(TrainConfig(method="dream", env="signpost", seed=0, steps=12_000), settings)
    torch.manual_seed(0)
    env = PixelSignpost(32)
    pair = build_method(env, config)
    training = Training(pair, env, 0)
    for _ in rounds(training):
        if training.step >= config.steps:
            break
    test = PixelSignpost(200)
    test.reset(seed=1)
    played = pair.play(test, np.arange(200) % 2, training.generator)
    assert played.execute.reward.sum(1).mean() > 0.95
