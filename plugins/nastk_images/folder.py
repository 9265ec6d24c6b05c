"""`Folder`: any folder of images as a data source, `--data folder:PATH`."""

import os
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from nastk_images.listing import Tree, scan
from nastk_images.source import PictureSource


class Folder(PictureSource):
    """Images in class folders: `PATH/<class>/<image>`, or `PATH/train/<class>/<image>`.

    There may be folders `valid` (or `val`) and `test` beside `train`. Splits without a folder are
    divided off as `PictureSource` says.

    Example: `Folder(Folder.Options(path="flowers", size=64)).task`
    """

    name = "folder"
    summary = "a folder of your own images: `--data folder:PATH`"
    remedy: ClassVar[str] = "give the splits folders of their own: train/, valid/, test/"
    no_test: ClassVar[str] = "There is no folder test/"
    own_valid: ClassVar[str] = "The folder's own valid images"

    class Options(PictureSource.Options):
        """The options of the source: which folder, and how to read it."""

        path: Path = Field(description="the folder; `--data folder:PATH` sets it")
        layout: Literal["auto", "classes"] = Field(
            "auto",
            description=(
                "auto: folders called train, valid, test (or the like) are splits; classes: every "
                "folder is a class"
            ),
        )

    @property
    def root(self) -> str:
        """See `PictureSource.root`."""
        return str(self.options.path.expanduser())

    def listed(self) -> Tree:
        """See `PictureSource.listed`."""
        return scan(
            Path(os.path.expanduser(self.options.path)),
            only_classes=self.options.layout == "classes",
        )
