"""`load` for the format `executorch`: its runtime runs the program in `model.pte`."""

from pathlib import Path

from nastk_export.standalone.predict import Array, Network


def load(folder: Path) -> Network:
    """Returns the program in `model.pte` as a function from images to logits."""
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(folder / "model.pte").load_method("forward")

    def logits(images: Array) -> Array:
        return method.execute([torch.from_numpy(images)])[0].numpy()  # type: ignore[no-any-return]

    return logits
