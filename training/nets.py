"""Training of the causal nets: dilated convolutions over a session's tracks.

Seven layers of three taps, 1, 2, 4 ... 64 epochs apart, see 255 epochs; a window of the last
255 rows of tracks gives what a run over the whole night gives. What a layer makes of the three
is added to what it had of the last of them, so that near and far are both seen in the end. The
nights are learnt together with altered copies of them (``training.altered``), with tracks left
out and noise upon them: there are few sleepers, and a net remembers them otherwise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from evaluation.datasets import UNSCORED
from inference.scaling import Scaling
from noctis.stages import COUNT
from training.courses import Course, motion_tracks
from training.scaling import scaling_of

__all__ = ["Net", "NetParameters", "Variants", "fit_net", "mean_of"]

LAYERS: Final = 7
REACH: Final = 2 ** (LAYERS + 1) - 2  # epochs before the one to stage
BLOCK: Final = 8  # epochs that lose the same units: far cheaper than a draw for each
GRADIENT: Final = 1.0  # the longest gradient that is followed as it is

Variants = Sequence[Course]
"""A night as it was, and then altered copies of it."""


@dataclass(frozen=True, slots=True)
class NetParameters:
    """What decides about a net besides the data."""

    width: int = 32
    steps: int = 240
    batch: int = 4
    learning_rate: float = 0.003
    weight_decay: float = 0.01
    dropout: float = 0.4
    smoothing: float = 0.05
    noise: float = 0.1
    left_out: float = 0.1
    altered: float = 0.75

    def as_dict(self) -> dict[str, float | int | str]:
        """Return the parameters as the manifest keeps them."""
        return asdict(self)


class Net(nn.Module):  # type: ignore[misc]
    """The net with the scaling of its inputs; ``probabilities`` is what it is for.

    ``reach``: the epochs before and behind the one to stage that it sees. ``carried``: the
    tap of each layer that lies where the epoch does, whose input is added to what it makes.
    """

    reach: ClassVar[tuple[int, int]] = (REACH, 0)
    carried: ClassVar[int] = 2

    @staticmethod
    def motion() -> list[int]:
        """Return the columns of the inputs that rest on the accelerometer."""
        return motion_tracks()

    def __init__(self, scaling: Scaling, parameters: NetParameters) -> None:
        super().__init__()
        width = parameters.width
        self.scaling, self.dropout = scaling, parameters.dropout
        self.inputs = nn.Linear(len(scaling.centre), width)
        self.norm = nn.LayerNorm(width)
        bound = (3 * width) ** -0.5
        self.taps = nn.Parameter(torch.empty(LAYERS, 3, width, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(LAYERS, width).uniform_(-bound, bound))
        self.outputs = nn.Linear(2 * width, COUNT)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the stages' logits, shape (n, nights, 4), of inputs (n, nights, C)."""
        size, nights, _ = inputs.shape
        before, behind = self.reach
        padded = functional.pad(inputs, (0, 0, 0, 0, before, behind)).flatten(0, 1)
        here = self._thinned(functional.gelu(self.norm(self.inputs(padded))), nights)
        past = here
        for layer in range(LAYERS):
            step = nights << layer
            kept = len(past) - 2 * step
            taps = [past[k * step : k * step + kept] @ self.taps[layer, k] for k in range(3)]
            summed = taps[0] + taps[1] + taps[2] + self.bias[layer]
            own = past[self.carried * step : self.carried * step + kept]
            past = own + self._thinned(functional.gelu(summed), nights)
        seen = torch.cat((past, here[before * nights : (before + size) * nights]), dim=1)
        logits: Tensor = self.outputs(seen).unflatten(0, (size, nights))
        return logits

    def probabilities(self, tracks: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the stages' probabilities, shape (n, 4), of a night's tracks, shape (n, C)."""
        self.eval()
        with torch.no_grad():
            logits = self(torch.from_numpy(self.scaling(tracks))[:, None])[:, 0]
        shares: NDArray[np.float64] = torch.softmax(logits, 1).numpy().astype(np.float64)
        return shares

    def _thinned(self, units: Tensor, nights: int) -> Tensor:
        if not self.training:
            return units
        blocks = -(-len(units) // (BLOCK * nights))
        kept = torch.rand(blocks, 1, nights * units.shape[1]) >= self.dropout
        mask = kept.float().div_(1 - self.dropout).expand(-1, BLOCK, -1)
        return units * mask.reshape(-1, units.shape[1])[: len(units)]


def mean_of(nets: Sequence[Net], tracks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities, shape (n, 4), of the mean of the nets' logarithms."""
    logarithms = [np.log(net.probabilities(tracks)) for net in nets]
    shares: NDArray[np.float64] = np.exp(np.mean(logarithms, axis=0))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def fit_net(
    nights: Sequence[Variants], parameters: NetParameters, *, seed: int, kind: type[Net] = Net
) -> Net:
    """Return a net that has learnt the nights, the same for the same seed."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    scaling = scaling_of(np.concatenate([variants[0].tracks for variants in nights]))
    scaled = [[(scaling(it.tracks), it.stages) for it in variants] for variants in nights]
    net = kind(scaling, parameters)
    optimiser = torch.optim.AdamW(
        net.parameters(), parameters.learning_rate, weight_decay=parameters.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, parameters.learning_rate, total_steps=parameters.steps + 1, pct_start=0.2
    )
    net.train()
    for inputs, stages in _batches(scaled, parameters, random, kind.motion()):
        loss = functional.cross_entropy(
            net(inputs).flatten(0, 1),
            stages.flatten(),
            ignore_index=UNSCORED,
            label_smoothing=parameters.smoothing,
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), GRADIENT)
        optimiser.step()
        schedule.step()
    net.eval()
    return net


Scaled = tuple[NDArray[np.float32], NDArray[np.int8]]


def _batches(
    nights: Sequence[Sequence[Scaled]],
    parameters: NetParameters,
    random: np.random.Generator,
    motion: list[int],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs (n, nights, C) and stages (n, nights), shorter nights filled up.

    As many batches as there are steps, in rounds over all nights.
    """
    a_round = -(-len(nights) // parameters.batch)
    order = random.permutation(len(nights))
    for step in range(parameters.steps):
        if step and step % a_round == 0:
            order = random.permutation(len(nights))
        begin = step % a_round * parameters.batch
        chosen = [nights[i] for i in order[begin : begin + parameters.batch]]
        drawn = [_drawn(variants, parameters, random, motion) for variants in chosen]
        longest = max(len(stages) for _, stages in drawn)
        inputs = np.zeros((longest, len(drawn), drawn[0][0].shape[1]), np.float32)
        stages = np.full((longest, len(drawn)), UNSCORED, np.int64)
        for at, (values, known) in enumerate(drawn):
            inputs[: len(known), at], stages[: len(known), at] = values, known
        yield torch.from_numpy(inputs), torch.from_numpy(stages)


def _drawn(
    variants: Sequence[Scaled],
    parameters: NetParameters,
    random: np.random.Generator,
    motion: list[int],
) -> Scaled:
    """Return the night or an altered copy, with noise, and with tracks or motion left out."""
    altered = random.random() < parameters.altered
    values, stages = variants[int(random.integers(len(variants))) if altered else 0]
    kept = random.random((values.shape[1],)) >= parameters.left_out
    if random.random() < parameters.left_out:
        kept[motion] = False
    noise = random.standard_normal(values.shape, np.float32)
    return (values + np.float32(parameters.noise) * noise) * kept, stages
