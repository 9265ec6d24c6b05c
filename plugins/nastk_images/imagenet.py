"""`ImageNet`: ImageNet 2012 from its class folders, or from its authors' archives."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, field_validator

from nastk import DataError, DataSource, Split, Splits, Task
from nastk.data import Files, divide, read_size
from nastk_images.listing import Listing, Tree, scan
from nastk_images.pictures import RANDOM_CROP_FROM, PictureFiles
from nastk_images.published import data_root

ARCHIVES = {
    "train": ("ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_img_train.tar"),
    "val": ("ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_img_val.tar"),
}
CLASSES = 1000


class ImageNet(DataSource):
    """ImageNet 2012 (Russakovsky et al. 2015): 1,281,167 training photos, its validation as test.

    The test split is the 50,000 validation photos.

    The set cannot be downloaded by nastk. `root` (or `root/imagenet`) holds `train/<class>/*.JPEG`
    and `val/<class>/*.JPEG`, or the three archives, which are unpacked to these folders at the
    first use. Photos are read during the run; in training they are cropped at random places and
    scales.

    Example: `ImageNet(ImageNet.Options(root="/data/imagenet")).task`
    """

    name = "imagenet"
    summary = "ImageNet 2012: 1.3 million photos in 1,000 classes"

    class Options(DataSource.Options):
        """The options of the source: the folder of the photos, and their size."""

        root: Path | None = Field(
            None,
            description="folder of the photos; unset: $NASTK_DATA, or else ~/.cache/nastk/data",
        )
        size: int | tuple[int, int] = Field(
            224,
            description="pixels a side of square images, or HEIGHTxWIDTH such as 192x256, from 32 "
            "to 1024",
        )

        @field_validator("size", mode="before")
        @classmethod
        def _read_size(cls, value: Any) -> Any:
            return read_size(value, 32, 1024)

    @cached_property
    def task(self) -> Task:
        """See `DataSource.task`; the labels are WordNet identifiers such as n01440764."""
        return Task(CLASSES, 3, self.options.size, self._tree.classes)

    def splits(self, seed: int) -> Splits:
        """See `DataSource.splits`."""
        tree = self._tree
        assert tree.valid is not None
        training, test = self._split(tree.train), self._split(tree.valid)
        train, valid = divide(training, self.options.train_fraction, self.options.limit, seed)
        return Splits(train, valid, test)

    def _split(self, listing: Listing) -> Split:
        """Returns the split of the files in `listing`."""
        shorter = self.task.shorter
        crops = shorter >= RANDOM_CROP_FROM
        padding = 0 if crops else shorter // 8
        augmentation = self.augmentation(
            (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), padding, flip=True
        )
        files = PictureFiles(listing.files, self.options.size, 3, random_crop=crops)
        root = Files(str(self._folder()), listing.paths)
        labels = torch.tensor(listing.labels)
        return Split(files, labels, augmentation, root, files.preparation)

    @cached_property
    def _tree(self) -> Tree:
        folder = self._folder()
        tree = scan(folder, {"train": ("train",), "valid": ("val", "valid"), "test": ()})
        if len(tree.classes) != CLASSES or tree.valid is None:
            without = "" if tree.valid else " and no folder val/"
            raise DataError(
                f"{folder} holds {len(tree.classes)} classes{without}; ImageNet has train/ and "
                f"val/ with {CLASSES} folders each. For a part of it use `--data folder:PATH`."
            )
        return tree

    def _folder(self) -> Path:
        """Returns the folder with train/ and val/, after unpacking the archives if necessary."""
        root = data_root(self.options.root)
        for folder in (root, root / "imagenet"):
            splits = [split for split in ARCHIVES if not (folder / split).is_dir()]
            if all((folder / name).is_file() for split in splits for name in ARCHIVES[split]):
                _unpack(folder, splits)
                return folder
        raise DataError(
            f"ImageNet is not in {root}, and nastk cannot download it: image-net.org asks for an "
            "account. Put there train/ and val/ with a folder for each class, or the archives "
            f"{', '.join(sorted({name for names in ARCHIVES.values() for name in names}))}; "
            "name another folder with `-d root=PATH`."
        )


def _unpack(folder: Path, splits: list[str]) -> None:
    """Unpacks the archives of these splits into class folders; torchvision checks the archives."""
    for split in splits:
        from torchvision.datasets import ImageNet as Archives

        try:
            Archives(str(folder), split=split)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"The ImageNet archives in {folder} cannot be unpacked: {error}"
            ) from error
