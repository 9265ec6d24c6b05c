"""`load` for the format `python`: the classes in `model.py`, which need torch alone."""

from pathlib import Path

from nastk_export.standalone.predict import Array, Network


def load(folder: Path) -> Network:
    """Returns the network of `model.py` as a function from images to logits."""
    import importlib.util

    import torch

    found = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    network = module.load()

    def logits(images: Array) -> Array:
        with torch.inference_mode():
            return network(torch.from_numpy(images)).numpy()  # type: ignore[no-any-return]

    return logits
