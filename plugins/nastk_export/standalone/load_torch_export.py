"""`load` for the format `torch-export`: torch runs the program in `model.pt2`."""

from pathlib import Path

from nastk_export.standalone.predict import Array, Network


def load(folder: Path) -> Network:
    """Returns the program in `model.pt2` as a function from images to logits."""
    import torch

    network = torch.export.load(folder / "model.pt2").module()

    def logits(images: Array) -> Array:
        with torch.inference_mode():
            return network(torch.from_numpy(images)).numpy()  # type: ignore[no-any-return]

    return logits
