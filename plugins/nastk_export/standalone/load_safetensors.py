"""`load` for the format `safetensors`: the library of that name reads the weights."""

from pathlib import Path

from nastk_export.standalone.predict import Array, Network


def load(folder: Path) -> Network:
    """Returns the network of `model.py`, with weights that the library safetensors reads."""
    import importlib.util

    import torch
    from safetensors.torch import load_file

    found = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    network = module.load(load_file(folder / "model.safetensors"))

    def logits(images: Array) -> Array:
        with torch.inference_mode():
            return network(torch.from_numpy(images)).numpy()  # type: ignore[no-any-return]

    return logits
