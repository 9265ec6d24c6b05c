"""Images to search on: small sets with published splits, ImageNet, and folders of one's own.

`digits.py` needs no files; `published.py` holds CIFAR-10, CIFAR-100, SVHN and Fashion-MNIST, which
are downloaded; `imagenet16.py` reads the pickled files of ImageNet16-120 through `batches.py`.
`imagenet.py` and `folder.py` read pictures from folders: `listing.py` finds them, `form.py` decides
size and channels, `pictures.py` decodes them.
"""

from nastk import Offer, hookimpl


@hookimpl
def data_sources() -> list[Offer]:
    """The sources, by the names users type after `--data`."""
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
    ]
