"""Streams: batches as functions of (seed, step), from memory and from files alike."""

from dataclasses import replace

import pytest
import torch
from data_kit import (
    CIFAR,
    PLAIN,
    UNIT,
    Stored,
    all_same,
    expected_normal,
    random_images,
    random_split,
    same,
)
from processes_kit import together
from torch import Tensor

from nastk import DataError, Split, Stream
from nastk.base.processes import ALONE, Processes
from nastk.data.loader import LoaderStream
from nastk.data.opening import stream
from nastk.data.order import Order
from nastk.data.splits import ImageFile
from nastk.data.streams import TensorStream


class Noise(Stored):
    """An `ImageFile` whose images are the seed they are read with, to see what workers are told."""

    def read(self, index: int, seed: int | None) -> Tensor:
        value = 0 if seed is None else seed % 251 + 1
        return torch.full((1, 2, 2), value, dtype=torch.uint8)


def tensor_stream(count: int = 23, name: str = "train", seed: int = 0, **more: bool) -> Stream:
    return stream(random_split(count), 4, seed, name, **more)


def loader_stream(count: int = 23, workers: int = 0, augment: bool = True) -> Stream:
    split = random_split(count)
    return stream(
        replace(split, images=Stored(split.images)), 4, 0, "train", augment=augment, workers=workers
    )


@pytest.fixture(params=["tensor", "loader"])
def each_stream(request: pytest.FixtureRequest) -> Stream:
    return tensor_stream() if request.param == "tensor" else loader_stream()


def test_the_kind_of_images_picks_the_kind_of_stream() -> None:
    assert isinstance(tensor_stream(), TensorStream)
    assert isinstance(loader_stream(), LoaderStream)
    assert isinstance(Stored(random_images(1)), ImageFile)


def test_a_stream_knows_its_images_and_batches(each_stream: Stream) -> None:
    assert (each_stream.images, len(each_stream)) == (23, 6)
    assert [len(batch.labels) for batch in each_stream.epoch(0)] == [4, 4, 4, 4, 4, 3]


def test_batches_depend_on_seed_and_step_alone(each_stream: Stream) -> None:
    straight = [tensor_stream().at(step) for step in range(14)]
    for step in (0, 1, 13, 2, 3, 3, 6, 0):
        assert same(each_stream.at(step), straight[step])
    assert not same(tensor_stream(seed=1).at(0), straight[0])


def test_two_streams_read_in_turns_do_not_disturb_each_other(each_stream: Stream) -> None:
    other = each_stream.view("other")
    mixed = [(each_stream.at(step), other.at(step)) for step in range(7)]
    assert all_same(iter(a for a, _ in mixed), (tensor_stream().at(step) for step in range(7)))
    fresh = tensor_stream().view("other")
    assert all_same(iter(b for _, b in mixed), (fresh.at(step) for step in range(7)))


def test_an_epoch_is_its_steps_and_can_start_in_the_middle(each_stream: Stream) -> None:
    length = len(each_stream)
    assert all_same(each_stream.epoch(2), (each_stream.at(2 * length + i) for i in range(length)))
    assert all_same(each_stream.epoch(1, start=4), (each_stream.at(length + i) for i in (4, 5)))
    assert list(each_stream.epoch(1, start=length)) == []


def test_a_view_has_its_own_order_size_and_augmentation(each_stream: Stream) -> None:
    view = each_stream.view("shapley", batch_size=23, augment=False)
    assert len(view) == 1
    batch = view.at(0)
    assert not same(batch, each_stream.view("other", batch_size=23, augment=False).at(0))
    raw = {tuple(image.flatten().tolist()) for image in expected_normal(random_images(23), CIFAR)}
    assert {tuple(image.flatten().tolist()) for image in batch.images} == raw
    assert same(each_stream.view("shapley").at(3), tensor_stream().view("shapley").at(3))


def test_a_view_of_a_tensor_stream_shares_the_images() -> None:
    one = tensor_stream()
    two = one.view("other")
    assert isinstance(one, TensorStream) and isinstance(two, TensorStream)
    assert one._pixels.data_ptr() == two._pixels.data_ptr()


def test_once_is_every_image_unaugmented_whatever_the_seed(each_stream: Stream) -> None:
    batches = list(each_stream.once())
    images = torch.cat([batch.images for batch in batches])
    raw = {tuple(image.flatten().tolist()) for image in expected_normal(random_images(23), CIFAR)}
    assert len(images) == 23
    assert {tuple(image.flatten().tolist()) for image in images} == raw
    assert all_same(iter(batches), tensor_stream(seed=9).once())


def test_once_mixes_classes_that_were_stored_in_rows() -> None:
    labels = torch.arange(200) // 100
    batches = TensorStream(Split(random_images(200), labels, CIFAR), 50, 0, "test").once()
    assert all(10 < int(batch.labels.sum()) < 40 for batch in batches)


def test_labels_stay_with_their_images() -> None:
    images = torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(40, 1, 2, 2).clone()
    for batch in TensorStream(Split(images, torch.arange(40), UNIT), 7, 0, "train").epoch(3):
        assert batch.images[:, 0, 0, 0].round().long().tolist() == batch.labels.tolist()


def test_workers_change_nothing_but_speed() -> None:
    read_ahead, straight = loader_stream(workers=1), tensor_stream()
    for step in (4, 5, 6, 7, 20, 21, 1):  # jumps restart the reading in the same workers
        assert same(read_ahead.at(step), straight.at(step))
    assert all_same(read_ahead.once(), straight.once())


def test_reading_draws_nothing_from_the_global_stream() -> None:
    state = torch.get_rng_state()
    loader_stream().at(3)
    list(loader_stream().once())
    assert torch.equal(torch.get_rng_state(), state)


def test_each_image_is_read_with_a_seed_of_its_own_that_only_the_step_decides() -> None:
    split = Split(Noise(random_images(12)), torch.arange(12), UNIT)
    one, two = (LoaderStream(split, 6, 0, "train", workers=0) for _ in range(2))
    first = [one.at(step).images[:, 0, 0, 0].round().long().tolist() for step in range(4)]
    assert [two.at(step).images[:, 0, 0, 0].round().long().tolist() for step in (3, 2)] == [
        first[3],
        first[2],
    ]
    assert len({value for values in first for value in values}) > 15
    plain = LoaderStream(split, 6, 0, "train", augment=False, workers=0)
    assert not plain.at(0).images.any()


def test_two_processes_read_an_image_once_and_have_the_batches_of_one() -> None:
    asked: list[int] = []

    class Listening(Noise):
        def read(self, index: int, seed: int | None) -> Tensor:
            asked.append(index)
            return super().read(index, seed)

    split = Split(Listening(random_images(13)), torch.arange(13), UNIT)

    def batches(processes: Processes) -> tuple[list[int], list[Tensor]]:
        asked.clear()
        reading = LoaderStream(split, 4, 0, "train", workers=0, processes=processes)
        images = [reading.at(step).images for step in (0, 1, 2, 5)]
        return list(asked), [*images, *(batch.images for batch in reading.once())]

    read, alone = batches(ALONE)
    both = together(batches)
    assert sorted(index for indices, _ in both for index in indices) == sorted(read)
    for _, each in both:
        assert all(torch.equal(one, other) for one, other in zip(alone, each, strict=True))
    shares = [Processes(rank, 2).part(list(range(5))) for rank in range(2)]
    assert shares == [[0, 1], [2, 3, 4]]
    assert Processes(1, 2).part([7]) == [7]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_ends_in_one_line_and_the_stream_can_go_on(workers: int) -> None:
    split = Split(Stored(random_images(8), bad=5), torch.arange(8), PLAIN)
    reading = LoaderStream(split, 4, 0, "train", workers=workers)
    order = Order(8, 4, 0, "train")
    bad = next(step for step in (0, 1) if 5 in order.batch(step))
    with pytest.raises(DataError, match=r"^The image 5.png cannot be read.$"):
        reading.at(bad)
    assert reading.at(1 - bad).labels.tolist() == order.batch(1 - bad).tolist()


@pytest.mark.parametrize("kind", [TensorStream, LoaderStream])
def test_a_stream_of_the_wrong_kind_is_refused(kind: type[Stream]) -> None:
    split = random_split(4)
    wrong = replace(split, images=Stored(split.images)) if kind is TensorStream else split
    with pytest.raises(TypeError, match=f"{kind.__name__} expects"):
        kind(wrong, 2, 0, "train")  # type: ignore[call-arg]


@pytest.mark.parametrize("lazy", [False, True])
def test_an_empty_split_is_refused(lazy: bool) -> None:
    split = random_split(4)
    split = (replace(split, images=Stored(split.images)) if lazy else split).select([])
    with pytest.raises(DataError, match="split of stream 'valid' holds no images"):
        stream(split, 4, 0, "valid")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("lazy", [False, True])
def test_streams_on_cuda_equal_those_on_the_cpu(lazy: bool) -> None:
    split = random_split(23)
    there = stream(
        replace(split, images=Stored(split.images)) if lazy else split,
        4,
        0,
        "train",
        "cuda",
        workers=1,
    )
    for step in (0, 1, 7):
        ours, theirs = tensor_stream().at(step), there.at(step)
        assert theirs.images.is_cuda and torch.equal(theirs.labels.cpu(), ours.labels)
        torch.testing.assert_close(theirs.images.cpu(), ours.images, atol=1e-6, rtol=1e-6)
