"""`predictor`: a trained model as the program of its exports sees it, run by nastk itself."""

from pathlib import Path

import torch

from nastk import TrainedModel
from nastk_export.standalone.predict import Array, Predictor


def predictor(folder: str | Path) -> Predictor:
    """Returns the predictor of a trained model, which reads pictures as its exports do.

    Raises:
        ConfigurationError: there is no trained model in `folder`.
        DataError: its files are damaged.

    Example: `predictor("runs/a")("photo.jpg")`
    """
    model = TrainedModel.load(folder)
    network = model.network()

    def logits(images: Array) -> Array:
        with torch.inference_mode():
            return network(torch.from_numpy(images)).numpy()  # type: ignore[no-any-return]

    assert model.folder is not None
    return Predictor(model.folder, logits)
