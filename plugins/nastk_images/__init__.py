"""Data sources of images: small sets with published splits, ImageNet, and the user's own folders.

digits.py      handwritten digits; needs no files
published.py   CIFAR-10, CIFAR-100, SVHN and Fashion-MNIST, which are downloaded
imagenet16.py  ImageNet16-120; batches.py reads its pickled files
imagenet.py    ImageNet from its folders or archives
source.py      what the following sources of pictures share
folder.py      any folder of pictures
csv_file.py    pictures that a table lists
hub.py         data sets of Hugging Face
torchvision_set.py  any data set of torchvision
listing.py     the pictures in a folder, their classes and splits; walk.py follows its links
labelled.py    the same for labelled pictures of tables and data sets
form.py        size and channels of pictures; arrays.py those of arrays, which it also reads
stored.py      pictures that are files, and those inside a data set
pictures.py    decodes pictures; levels.py scales grey ones with more than 8 bits, reading.py turns
               errors and warnings of PIL into ours
presets.py     the preset that larger sources share
command_line.py  `nastk data`, a look at any source
"""

from typing import TYPE_CHECKING

from nastk import Offer, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def data_sources() -> list[Offer]:
    """Returns the offers of the sources, by their names in `--data`."""
    return [
        Offer(
            "digits",
            "1,797 handwritten digits of 8x8 pixels; no download",
            "nastk_images.digits:Digits",
        ),
        Offer(
            "cifar10",
            "CIFAR-10: 60,000 colour images of 32x32 pixels",
            "nastk_images.published:Cifar10",
        ),
        Offer(
            "cifar100",
            "CIFAR-100: 60,000 colour images in 100 classes",
            "nastk_images.published:Cifar100",
        ),
        Offer(
            "svhn",
            "SVHN: 99,289 house-number digits of 32x32 pixels",
            "nastk_images.published:Svhn",
        ),
        Offer(
            "fashion-mnist",
            "Fashion-MNIST: 70,000 grey images of clothes, 28x28 pixels",
            "nastk_images.published:FashionMnist",
        ),
        Offer(
            "imagenet16-120",
            "ImageNet16-120 of NAS-Bench-201: 157,700 colour images of 16x16 pixels",
            "nastk_images.imagenet16:ImageNet16",
        ),
        Offer(
            "imagenet",
            "ImageNet 2012: 1.3 million photos in 1,000 classes",
            "nastk_images.imagenet:ImageNet",
        ),
        Offer(
            "folder",
            "a folder of your own images: `--data folder:PATH`",
            "nastk_images.folder:Folder",
        ),
        Offer(
            "csv",
            "images that a table lists: `--data csv:FILE`",
            "nastk_images.csv_file:Csv",
        ),
        Offer(
            "hf",
            "a data set of Hugging Face, by its name or from a folder: `--data hf:NAME`",
            "nastk_images.hub:HuggingFace",
        ),
        Offer(
            "torchvision",
            "any data set of torchvision, by its class: `--data torchvision:NAME`",
            "nastk_images.torchvision_set:Torchvision",
        ),
    ]


@hookimpl
def commands(app: "typer.Typer") -> None:
    """Called when the command line is built: adds `nastk data`."""
    from nastk_images.command_line import add_to

    add_to(app)
