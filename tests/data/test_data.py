"""Augmentation, the order of batches, and how a split is divided."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from data_kit import CIFAR, PLAIN, UNIT, Stored, expected_normal, random_images, random_split
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nastk import Augmentation, ConfigurationError, DataError, Split
from nastk.base.seeds import generator
from nastk.data.augment import augment
from nastk.data.order import Order
from nastk.data.splits import Selected, divide, stratified

# ---------------------------------------------------------------- augmentation


@pytest.mark.parametrize(
    ("augmentation", "train"),
    [(PLAIN, True), (PLAIN, False), (replace(CIFAR, cutout=4), False)],
    ids=["nothing-to-do", "nothing-to-do-evaluation", "evaluation"],
)
def test_without_crop_flip_and_cutout_augmenting_is_normalising(
    augmentation: Augmentation, train: bool
) -> None:
    images = random_images(5)
    treated = augment(images, augmentation, seed=3, train=train)
    assert torch.equal(treated, expected_normal(images, augmentation))
    assert treated.dtype == torch.float32
    assert treated.is_contiguous(memory_format=torch.channels_last)


def test_augmenting_is_a_pure_function_and_leaves_the_images_and_the_global_stream_alone() -> None:
    images = random_images(16)
    before, state = images.clone(), torch.get_rng_state()
    first = augment(images, replace(CIFAR, cutout=3), seed=1, train=True)
    assert torch.equal(first, augment(images, replace(CIFAR, cutout=3), seed=1, train=True))
    assert not torch.equal(first, augment(images, replace(CIFAR, cutout=3), seed=2, train=True))
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.is_contiguous(memory_format=torch.channels_last)


def test_every_crop_is_a_window_of_the_image_padded_with_black() -> None:
    images, padding = random_images(64, channels=1, size=5), 2
    crops = augment(images, replace(UNIT, crop_padding=padding), seed=0, train=True).round().byte()
    padded = torch.nn.functional.pad(images, [padding] * 4)
    places = set()
    for crop, whole in zip(crops, padded, strict=True):
        windows = whole.unfold(1, 5, 1).unfold(2, 5, 1)[0]  # offset x offset x 5 x 5
        found = (windows == crop).flatten(2).all(-1).nonzero()
        assert len(found) == 1
        places.add(tuple(found[0].tolist()))
    assert (
        {row for row, _ in places}
        == {column for _, column in places}
        == set(range(2 * padding + 1))
    )


def test_black_padding_is_normalised_like_any_black_pixel() -> None:
    white = torch.full((200, 1, 4, 4), 255, dtype=torch.uint8)
    treated = augment(white, Augmentation((0.5,), (0.5,), crop_padding=2), seed=0, train=True)
    assert set(treated.unique().tolist()) == {-1.0, 1.0}


def test_half_of_the_images_are_mirrored_and_the_others_untouched() -> None:
    images = random_images(4000, channels=1, size=4)
    treated = augment(images, replace(UNIT, flip=True), seed=0, train=True).round().byte()
    mirrored = (treated == images.flip(3)).flatten(1).all(1)
    untouched = (treated == images).flatten(1).all(1)
    assert bool((mirrored ^ untouched).all())
    assert abs(float(mirrored.float().mean()) - 0.5) < 0.03  # nearly four standard deviations


def cutout_area(size: int, side: int) -> list[list[int]]:
    """For each centre, the pixels of the square that lie inside the image."""
    lengths = [
        min(size, centre - side // 2 + side) - max(0, centre - side // 2) for centre in range(size)
    ]
    return [[height * width for width in lengths] for height in lengths]


@pytest.mark.parametrize("side", [1, 2, 3, 4, 6])
def test_cutout_is_one_square_clipped_at_the_borders_with_a_uniform_centre(side: int) -> None:
    size, count = 6, 6000
    ones = torch.full((count, 2, size, size), 255, dtype=torch.uint8)
    treated = augment(ones, Augmentation((0.5, 0.5), (0.5, 0.5), cutout=side), seed=0, train=True)
    hole = treated == 0  # zero after normalising, as white is 1
    assert torch.equal(hole[:, 0], hole[:, 1])
    holes = hole[:, 0]
    height, width = holes.any(2).sum(1), holes.any(1).sum(1)
    assert torch.equal(holes.sum((1, 2)), height * width)
    areas = torch.tensor(cutout_area(size, side), dtype=torch.float64)
    assert set(holes.sum((1, 2)).tolist()) == set(areas.flatten().long().tolist())
    deviation = float(areas.std(correction=0)) / count**0.5
    assert abs(float(holes.sum((1, 2)).double().mean()) - float(areas.mean())) <= 4 * deviation


def test_switching_one_part_off_leaves_the_draws_of_the_others() -> None:
    images = random_images(32, channels=1, size=6)
    both = augment(images, replace(UNIT, crop_padding=2, flip=True), seed=5, train=True)
    crop_only = augment(images, replace(UNIT, crop_padding=2), seed=5, train=True)
    unflipped = (both == crop_only).flatten(1).all(1)
    flipped = (both == crop_only.flip(3)).flatten(1).all(1)
    assert bool((unflipped ^ flipped).all())
    assert 8 < int(unflipped.sum()) < 24


@pytest.mark.parametrize("augmentation", [UNIT, Augmentation((0.1, 0.2, 0.3), (1.0,))])
def test_a_wrong_number_of_channels_is_named(augmentation: Augmentation) -> None:
    with pytest.raises(DataError, match="images with 3 channels"):
        augment(random_images(2), augmentation, seed=0, train=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_augmentation_on_cuda_equals_the_cpu() -> None:
    images, treatment = random_images(64), replace(CIFAR, cutout=3)
    there = augment(images.cuda(), treatment, seed=4, train=True)
    assert there.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        there.cpu(), augment(images, treatment, seed=4, train=True), atol=1e-6, rtol=1e-6
    )


# ---------------------------------------------------------------- order


@given(images=st.integers(1, 120), batch_size=st.integers(1, 150), number=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_a_pass_holds_every_image_once_but_for_a_single_rest(
    images: int, batch_size: int, number: int
) -> None:
    order = Order(images, batch_size, seed=1, name="train")
    batches = [
        order.batch(number * len(order) + position).tolist() for position in range(len(order))
    ]
    seen = [index for batch in batches for index in batch]
    dropped = images > batch_size > 1 and images % batch_size == 1
    assert len(seen) == len(set(seen)) == images - dropped
    assert set(seen) <= set(range(images))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert len(batches[-1]) > 1 or batch_size == 1 or images == 1


@given(images=st.integers(1, 120), batch_size=st.integers(1, 150))
@settings(max_examples=150, deadline=None)
def test_once_holds_every_image_exactly_once_and_no_batch_of_one(
    images: int, batch_size: int
) -> None:
    batches = [batch.tolist() for batch in Order(images, batch_size, seed=1, name="train").once()]
    assert sorted(index for batch in batches for index in batch) == list(range(images))
    assert min(map(len, batches)) > 1 or batch_size == 1 or images == 1
    assert max(map(len, batches)) <= batch_size + 1


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"),
    [
        (8, 4, [4, 4]),
        (9, 4, [4, 4]),  # a rest of one image is dropped
        (5, 4, [4]),
        (10, 4, [4, 4, 2]),
        (1, 4, [1]),  # but a single image that is all there is
        (2, 1, [1, 1]),
        (4, 4, [4]),
        (3, 4, [3]),
    ],
)
def test_a_rest_of_one_image_is_dropped(images: int, batch_size: int, sizes: list[int]) -> None:
    order = Order(images, batch_size, seed=0, name="train")
    assert [len(order.batch(step)) for step in range(len(order))] == sizes


def test_passes_seeds_and_names_have_orders_of_their_own() -> None:
    orders = [
        Order(50, 50, seed, name).batch(step) for seed in (0, 1) for name in "ab" for step in (0, 1)
    ]
    assert not any(torch.equal(a, b) for a, b in pairwise(orders))
    assert torch.equal(Order(50, 50, 1, "b").batch(1), orders[-1])


def test_a_batch_larger_than_the_split_is_one_batch_of_all() -> None:
    order = Order(7, 1000, seed=0, name="train")
    assert len(order) == 1
    assert sorted(order.batch(5).tolist()) == list(range(7))


@pytest.mark.parametrize(
    ("images", "batch_size", "error", "message"),
    [
        (
            0,
            4,
            DataError,
            "split of stream 'valid' holds no images. A valid split needs train_fraction",
        ),
        (4, 0, ConfigurationError, "batch_size must be at least 1, got 0"),
    ],
)
def test_an_impossible_order_is_refused(
    images: int, batch_size: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Order(images, batch_size, 0, "valid")


def test_a_negative_step_is_refused() -> None:
    with pytest.raises(ValueError, match="step must be at least 0, got -1"):
        Order(4, 2, 0, "train").batch(-1)


# ---------------------------------------------------------------- splits


@pytest.mark.parametrize("lazy", [False, True])
def test_select_takes_images_and_labels_in_the_order_asked_for(lazy: bool) -> None:
    split = random_split(9)
    chosen = (
        (replace(split, images=Stored(split.images)) if lazy else split)
        .select([7, 2, 4])
        .select(torch.tensor([2, 0]))
    )
    assert chosen.labels.tolist() == [4 % 3, 7 % 3]
    if isinstance(chosen.images, Tensor):
        assert torch.equal(chosen.images, split.images[[4, 7]])
    else:
        assert isinstance(chosen.images, Selected) and isinstance(chosen.images.images, Stored)
        assert torch.equal(chosen.images.read(1, None), split.images[7])
    assert len(chosen.select([])) == 0


def test_labels_must_be_as_many_as_images() -> None:
    with pytest.raises(DataError, match="one label for each image, got 3 for 4"):
        Split(Stored(random_images(4)), torch.arange(3), PLAIN)


@given(
    sizes=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_stratified_parts_are_disjoint_complete_and_proportional(
    sizes: list[int], fraction: float, seed: int
) -> None:
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    count = round(fraction * len(labels))
    chosen, others = stratified(labels, count, generator(seed, "x"))
    assert sorted(chosen.tolist() + others.tolist()) == list(range(len(labels)))
    assert len(chosen) == min(max(count, len(sizes)), len(labels) - len(sizes))
    shares = torch.bincount(labels[chosen], minlength=len(sizes)).tolist()
    assert all(1 <= share < size for share, size in zip(shares, sizes, strict=True))
    # One image of a class is fixed for each part; only the rest follows the proportion.
    free = len(labels) - 2 * len(sizes)
    for share, size in zip(shares, sizes, strict=True):
        assert abs(share - 1 - (size - 2) * (len(chosen) - len(sizes)) / max(free, 1)) < 1


def test_division_is_exact_in_balanced_classes_and_depends_on_the_seed_alone() -> None:
    split = random_split(120, classes=4)
    train, valid = divide(split, 0.5, None, seed=0)
    assert (
        torch.bincount(train.labels).tolist() == torch.bincount(valid.labels).tolist() == [15] * 4
    )
    again, _ = divide(split, 0.5, None, seed=0)
    other, _ = divide(split, 0.5, None, seed=1)
    assert torch.equal(train.images, again.images)
    assert not torch.equal(train.images, other.images)


@pytest.mark.parametrize(
    ("fraction", "limit", "train", "valid"),
    [
        (0.5, None, 60, 60),
        (0.8, None, 96, 24),
        (1.0, None, 120, 0),
        (0.5, 40, 20, 20),
        (1.0, 41, 41, 0),
        (0.5, 999, 60, 60),
    ],
)
def test_fraction_and_limit_give_these_sizes(
    fraction: float, limit: int | None, train: int, valid: int
) -> None:
    parts = divide(random_split(120, classes=4), fraction, limit, seed=0)
    assert tuple(map(len, parts)) == (train, valid)
    if limit == 40:
        assert torch.bincount(parts[0].labels).tolist() == [5] * 4


@pytest.mark.parametrize(
    ("labels", "fraction", "limit", "message"),
    [
        ([0, 0, 0, 1], 0.5, None, r"Class 1 has 1 image\(s\), and 2 are needed"),
        (
            [0, 1, 2] * 4,
            0.5,
            5,
            "limit=5 is too small for 3 classes in 2 part.*Set it to 6 or more",
        ),
        ([0, 1, 2] * 4, 1.0, 2, "limit=2 is too small for 3 classes in 1 part"),
    ],
)
def test_too_few_images_are_refused(
    labels: list[int], fraction: float, limit: int | None, message: str
) -> None:
    split = Split(random_images(len(labels)), torch.tensor(labels), PLAIN)
    with pytest.raises(DataError, match=message):
        divide(split, fraction, limit, seed=0)
