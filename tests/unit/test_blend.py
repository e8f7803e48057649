import numpy as np
import pytest

from inference.architectures import Batch, Blend
from registry.manifest import Part, Recipe
from training.blend import Mix, Opinions, choose

Shares = np.ndarray


def told(stages: np.ndarray, *, sure: float, wrong: float, seed: int) -> Shares:
    """Opinions that hold the right stage likely, or another one for a share of the epochs."""
    random = np.random.default_rng(seed)
    held = np.where(
        random.random(len(stages)) < wrong, random.integers(0, 4, len(stages)), stages
    )
    shares = np.full((len(stages), 4), (1 - sure) / 3)
    shares[np.arange(len(stages)), held] = sure
    return shares


STAGES = np.random.default_rng(0).choice(4, 4000, p=[0.1, 0.55, 0.15, 0.2]).astype(np.int8)


class Fixed:
    def __init__(self, shares: Shares) -> None:
        self.shares = shares.astype(np.float32)

    def probabilities(self, _: Batch) -> Shares:
        return self.shares


def test_a_mix_is_what_its_recipe_serves() -> None:
    mix = Mix(0.6, (0.1, 0.5, 0.2, 0.2), prior_power=0.2, temperature=1.3)
    opinions = Opinions(
        told(STAGES, sure=0.6, wrong=0.4, seed=1), told(STAGES, sure=0.9, wrong=0.2, seed=2)
    )
    recipe = Recipe(
        parts=(
            Part(kind="trees", file="a", weight=0.4),
            Part(kind="net", file="b", weight=0.6),
        ),
        prior=mix.prior,
        prior_power=0.2,
        temperature=1.3,
    )
    assert opinions.trees is not None
    assert opinions.nets is not None
    served = Blend([Fixed(opinions.trees), Fixed(opinions.nets)], recipe)
    expected = served.probabilities(Batch([]))
    assert np.allclose(mix(opinions), expected, atol=1e-6)


def test_the_part_that_is_right_more_often_counts_more() -> None:
    good = told(STAGES, sure=0.7, wrong=0.1, seed=1)
    poor = told(STAGES, sure=0.7, wrong=0.8, seed=2)
    assert choose([Opinions(good, poor)], [STAGES], 0.1).net_share == 0.3
    assert choose([Opinions(poor, good)], [STAGES], 0.1).net_share > 0.5


def test_the_temperature_makes_the_opinions_as_sure_as_they_are_right() -> None:
    boasting = Opinions(None, told(STAGES, sure=0.97, wrong=0.5, seed=3))
    timid = Opinions(None, told(STAGES, sure=0.4, wrong=0.1, seed=3))
    assert choose([boasting], [STAGES], 0.1).temperature > 1.2
    assert choose([timid], [STAGES], 0.1).temperature < 0.8


def test_unscored_epochs_choose_nothing() -> None:
    opinions = Opinions(
        told(STAGES, sure=0.6, wrong=0.5, seed=1), told(STAGES, sure=0.6, wrong=0.3, seed=2)
    )
    some = STAGES.copy()
    some[2000:] = -1
    assert opinions.trees is not None
    assert opinions.nets is not None
    half = Opinions(opinions.trees[:2000], opinions.nets[:2000])
    assert choose([opinions], [some], 0.1) == choose([half], [STAGES[:2000]], 0.1)


def test_a_mix_of_one_part_gives_it_all_the_weight() -> None:
    one = told(STAGES, sure=0.6, wrong=0.3, seed=1)
    mix = choose([Opinions(None, one)], [STAGES], 0.1)
    assert mix.net_share == 1
    assert mix.prior == pytest.approx(np.bincount(STAGES) / len(STAGES))
    assert choose([Opinions(one, None)], [STAGES], 0.1).net_share == 0
