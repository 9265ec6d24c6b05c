"""The image sources: the digits, and published sets read from their original file formats."""

import gzip
import io
import subprocess
import sys
import tarfile
import urllib.error
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from images_kit import OldArray, random_pixels, write_pickle
from PIL import Image

import nastk_images
from nastk import DataError, DataSource, Task
from nastk.data.opening import stream
from nastk.data.splits import ImageFile
from nastk.testing.contracts import DataSourceContract
from nastk_images import imagenet as imagenet_module
from nastk_images.digits import Digits
from nastk_images.folder import Folder
from nastk_images.imagenet import ImageNet
from nastk_images.imagenet16 import ImageNet16
from nastk_images.published import Cifar10, Cifar100, FashionMnist, Svhn, data_root

# ---------------------------------------------------------------- the plugin


def test_the_offers_are_the_classes_they_name() -> None:
    offers = nastk_images.data_sources()
    assert [offer.name for offer in offers] == [
        "digits", "cifar10", "cifar100", "svhn", "fashion-mnist", "imagenet16-120", "imagenet",
        "folder", "csv", "hf", "torchvision",
    ]  # fmt: skip
    for offer in offers:
        module, _, name = offer.load.partition(":")
        source = getattr(import_module(module), name)
        assert issubclass(source, DataSource)
        assert (source.name, source.summary) == (offer.name, offer.summary)
        assert all(field.description for field in source.Options.model_fields.values())


def test_listing_the_sources_imports_no_torch() -> None:
    code = "import nastk_images, sys; nastk_images.data_sources(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_quick_preset_limits_the_larger_sets() -> None:
    for source in (Folder, Cifar10, Cifar100, Svhn, FashionMnist, ImageNet16):
        assert [(preset.name, preset.data_options) for preset in source.presets] == [
            ("quick", {"limit": 4000})
        ]
    assert not Digits.presets


class TestDigits(DataSourceContract):
    source, options = Digits, {"limit": 100}


# ---------------------------------------------------------------- digits


def test_digits_are_divided_and_their_test_part_is_the_same_for_every_seed() -> None:
    source = Digits(Digits.parse_options({"train_fraction": 0.75}))
    one, two = source.splits(0), source.splits(1)
    assert (len(one.train), len(one.valid), len(one.test)) == (1078, 360, 359)
    assert one.train.images.shape[1:] == (1, 8, 8)
    assert source.task == Task(10, 1, 8, tuple("0123456789"))
    assert int(one.train.images.max()) == 255
    assert torch.equal(one.test.images, two.test.images)
    assert torch.equal(one.test.images, Digits().splits(5).test.images)
    assert not torch.equal(one.train.images, two.train.images)
    counts = torch.bincount(one.test.labels)
    assert int(counts.max()) - int(counts.min()) <= 2
    assert (one.train.augmentation.flip, one.train.augmentation.crop_padding) == (False, 1)


# ---------------------------------------------------------------- published sets


def write_cifar(root: Path, fine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Files of a CIFAR set with few images; the training and the test pixels."""
    train, test = random_pixels(20, 3072), random_pixels(10, 3072)
    key, folder = ("fine_labels", "cifar-100-python") if fine else ("labels", "cifar-10-batches-py")

    def entry(pixels: np.ndarray) -> dict[str, object]:
        return {"data": OldArray(pixels), key: [index % 5 for index in range(len(pixels))]}

    names = [f"class{index}" for index in range(5)]
    if fine:
        write_pickle(root / folder / "train", entry(train))
        write_pickle(root / folder / "test", entry(test))
        write_pickle(root / folder / "meta", {"fine_label_names": names})
    else:
        for part in range(5):
            # Each file begins again at label 0, with its four images.
            pixels = train[4 * part : 4 * part + 4]
            labels = [(4 * part + index) % 5 for index in range(4)]
            write_pickle(
                root / folder / f"data_batch_{part + 1}",
                {"data": OldArray(pixels), "labels": labels},
            )
        write_pickle(root / folder / "test_batch", entry(test))
        write_pickle(root / folder / "batches.meta", {"label_names": names})
    return train.reshape(-1, 3, 32, 32), test.reshape(-1, 3, 32, 32)


def write_cifar10(root: Path) -> tuple[np.ndarray, np.ndarray]:
    return write_cifar(root, fine=False)


def write_cifar100(root: Path) -> tuple[np.ndarray, np.ndarray]:
    return write_cifar(root, fine=True)


def write_svhn(root: Path) -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import savemat

    written = []
    for name, count in (("train", 20), ("test", 10)):
        pixels = random_pixels(32, 32, 3, count)
        # The authors' files call the digit 0 ten.
        labels = np.array([[index % 5 or 10] for index in range(count)], dtype=np.uint8)
        savemat(root / f"{name}_32x32.mat", {"X": pixels, "y": labels})
        written.append(pixels.transpose(3, 2, 0, 1))
    return written[0], written[1]


def write_fashion_mnist(root: Path) -> tuple[np.ndarray, np.ndarray]:
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    written = []
    for name, count in (("train", 20), ("t10k", 10)):
        pixels = random_pixels(count, 28, 28)
        labels = (np.arange(count) % 5).astype(np.uint8)
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(
                side.to_bytes(4, "big") for side in array.shape
            )
            (raw / f"{name}-{kind}-ubyte").write_bytes(head + array.tobytes())
        written.append(pixels[:, None])
    return written[0], written[1]


PUBLISHED: list[
    tuple[type[DataSource], Callable[[Path], tuple[np.ndarray, np.ndarray]], Task, bool]
] = [
    (Cifar10, write_cifar10, Task(5, 3, 32, tuple(f"class{index}" for index in range(5))), True),
    (Cifar100, write_cifar100, Task(5, 3, 32, tuple(f"class{index}" for index in range(5))), True),
    (Svhn, write_svhn, Task(10, 3, 32, tuple("0123456789")), False),
    (FashionMnist, write_fashion_mnist, Task(10, 1, 28), True),
]


@pytest.fixture
def any_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision take the small files that these tests write."""
    for module in ("cifar", "svhn"):
        monkeypatch.setattr(
            f"torchvision.datasets.{module}.check_integrity",
            lambda path, md5=None: Path(path).is_file(),
        )


@pytest.mark.usefixtures("any_checksum")
@pytest.mark.parametrize(
    ("source", "write", "task", "flip"), PUBLISHED, ids=lambda each: getattr(each, "name", None)
)
def test_published_sets_are_read_from_their_original_files(
    tmp_path: Path, source: type[DataSource], write: Callable[[Path], Any], task: Task, flip: bool
) -> None:
    train, test = write(tmp_path)
    opened = source(source.parse_options({"root": tmp_path, "download": False}))
    splits = opened.splits(seed=0)
    found = opened.task
    assert (found.classes, found.channels, found.size) == (task.classes, task.channels, task.size)
    assert not task.labels or found.labels == task.labels
    assert np.array_equal(splits.test.images.numpy(), test)
    assert splits.test.labels.tolist() == [index % 5 for index in range(10)]
    assert (len(splits.train), len(splits.valid)) == (10, 10)
    pixels = {image.tobytes(): index % 5 for index, image in enumerate(train)}
    for split in (splits.train, splits.valid):
        assert [pixels[image.numpy().tobytes()] for image in split.images] == split.labels.tolist()
    treatment = splits.train.augmentation
    assert (treatment.crop_padding, treatment.flip) == (4, flip)
    assert len(treatment.mean) == len(treatment.std) == task.channels
    assert stream(splits.train, 4, 0, "train").at(0).images.shape == (
        4,
        task.channels,
        task.size,
        task.size,
    )


@pytest.mark.parametrize("source", [each[0] for each in PUBLISHED])
def test_missing_files_without_download_say_what_to_do(
    tmp_path: Path, source: type[DataSource]
) -> None:
    opened = source(source.parse_options({"root": tmp_path, "download": False}))
    with pytest.raises(
        DataError,
        match=rf"{source.name} is not there \(download is off\).*Put .* into .*-d root=PATH",
    ):
        _ = opened.task


@pytest.mark.parametrize("source", [each[0] for each in PUBLISHED])
def test_a_download_without_network_says_what_to_do(
    tmp_path: Path, source: type[DataSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    opened = source(source.parse_options({"root": tmp_path}))
    with pytest.raises(
        DataError, match=f"{source.name} could not be downloaded: .*Put .* into .*folder:PATH"
    ):
        opened.splits(seed=0)


def test_files_lie_where_the_option_or_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NASTK_DATA", str(tmp_path / "a"))
    assert data_root(tmp_path / "b") == tmp_path / "b"
    assert data_root(None) == tmp_path / "a"
    monkeypatch.delenv("NASTK_DATA")
    assert data_root(None) == Path.home() / ".cache" / "nastk" / "data"


def test_the_compressed_files_of_fashion_mnist_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, test = write_fashion_mnist(tmp_path)
    for file in list((tmp_path / "FashionMNIST" / "raw").iterdir()):
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    monkeypatch.setattr(
        "torchvision.datasets.utils.check_integrity", lambda path, md5=None: Path(path).is_file()
    )
    splits = FashionMnist(FashionMnist.parse_options({"root": tmp_path})).splits(seed=0)
    assert np.array_equal(splits.test.images.numpy(), test)


# ---------------------------------------------------------------- imagenet

WNIDS = ("n01440764", "n01443537", "n01484850")


def jpeg(width: int = 40, height: int = 40) -> bytes:
    target = io.BytesIO()
    Image.fromarray(random_pixels(height, width, 3)).save(target, "JPEG")
    return target.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def write_imagenet_archives(root: Path) -> None:
    """The three archives with three classes, four training photos each and one to validate."""
    from scipy.io import savemat

    fields = [
        ("ILSVRC2012_ID", "i4"),
        ("WNID", object),
        ("words", object),
        ("gloss", object),
        ("num_children", "i4"),
    ]
    synsets = np.array(
        [(n + 1, wnid, f"word{n}", "", 0) for n, wnid in enumerate(WNIDS)], dtype=fields
    )
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets})
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as archive:
        add(archive, "ILSVRC2012_devkit_t12/data/meta.mat", meta.getvalue())
        add(
            archive,
            "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt",
            b"3\n1\n2\n",
        )
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as archive:
        for wnid in WNIDS:
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as photos:
                for number in range(4):
                    add(photos, f"{wnid}_{number}.JPEG", jpeg())
            add(archive, f"{wnid}.tar", inner.getvalue())
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as archive:
        for number in (1, 2, 3):
            add(archive, f"ILSVRC2012_val_0000000{number}.JPEG", jpeg())


def write_imagenet_folders(root: Path) -> None:
    for split, count in (("train", 4), ("val", 1)):
        for wnid in WNIDS:
            (root / split / wnid).mkdir(parents=True)
            for number in range(count):
                (root / split / wnid / f"{number}.JPEG").write_bytes(jpeg())
    # The challenge's own archive has test photos without classes beside these.
    (root / "test").mkdir()
    (root / "test" / "a.JPEG").write_bytes(jpeg())


@pytest.mark.parametrize("write", [write_imagenet_archives, write_imagenet_folders])
@pytest.mark.parametrize("below", ["", "imagenet"])
def test_imagenet_is_read_from_its_archives_or_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], below: str
) -> None:
    monkeypatch.setattr(imagenet_module, "CLASSES", 3)
    monkeypatch.setattr(
        "torchvision.datasets.imagenet.check_integrity", lambda path, md5=None: Path(path).is_file()
    )
    monkeypatch.setattr(
        "torchvision.datasets.utils.check_integrity", lambda path, md5=None: Path(path).is_file()
    )
    (tmp_path / below).mkdir(exist_ok=True)
    write(tmp_path / below)
    source = ImageNet(ImageNet.parse_options({"root": tmp_path, "size": 32}))
    assert source.task == Task(3, 3, 32, WNIDS)
    splits = source.splits(seed=0)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (6, 6, 3)
    assert isinstance(splits.train.images, ImageFile)
    assert stream(splits.train, 3, 0, "train", workers=0).at(0).images.shape == (3, 3, 32, 32)


def test_missing_or_partial_imagenet_says_what_is_expected(tmp_path: Path) -> None:
    source = ImageNet(ImageNet.parse_options({"root": tmp_path}))
    with pytest.raises(
        DataError, match=r"cannot download it.*train/ and val/.*ILSVRC2012_img_train\.tar"
    ):
        _ = source.task
    write_imagenet_folders(tmp_path)
    with pytest.raises(
        DataError, match="holds 3 classes; ImageNet has train/ and val/ with 1000 folders"
    ):
        _ = source.task


def test_damaged_imagenet_archives_are_named(tmp_path: Path) -> None:
    for name in {name for names in imagenet_module.ARCHIVES.values() for name in names}:
        (tmp_path / name).write_bytes(b"not an archive")
    with pytest.raises(DataError, match=r"archives in .* cannot be unpacked"):
        _ = ImageNet(ImageNet.parse_options({"root": tmp_path})).task


# -------------------------------------------------------------- the real thing, where it lies about

JPEGS = Path(__file__).parents[3] / "shared" / "data" / "cifar10-jpeg.tar.gz"


@pytest.mark.slow
@pytest.mark.skipif(
    not JPEGS.exists(), reason="needs shared/data/cifar10-jpeg.tar.gz beside the repository"
)
def test_cifar10_as_a_folder_of_jpegs(tmp_path: Path) -> None:
    with tarfile.open(JPEGS) as archive:
        archive.extractall(tmp_path, filter="data")
    source = Folder(Folder.parse_options({"path": tmp_path}))
    assert (source.task.classes, source.task.channels, source.task.size) == (10, 3, 32)
    splits = source.splits(0)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (25000, 25000, 10000)
    assert torch.bincount(splits.train.labels).tolist() == [2500] * 10
    assert splits.train.augmentation.mean == pytest.approx(Cifar10.mean, abs=0.005)
    assert splits.train.augmentation.std == pytest.approx(Cifar10.std, abs=0.005)
