"""The test accuracy of an exported network where nastk is not installed.

    python exported_accuracy.py EXPORT TEST --out ROW.json
    python exported_accuracy.py EXPORT TEST --out ROW.json --beside OTHER.json

EXPORT is a folder that `nastk export` wrote, TEST a folder with a folder of pictures for each
class. Pictures are read and normalised by the export's own `predict.py`; its format's runtime,
numpy and Pillow are all that is needed. ROW.json has the accuracy, and every logit goes into
ROW.npy beside it; `--beside` adds the largest difference to the logits of another such row.
"""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

AT_ONCE = 8
"""Images in a batch: as many as an ExecuTorch program takes."""


def exported(folder: Path) -> ModuleType:
    """Returns the module `predict.py` of an export."""
    found = importlib.util.spec_from_file_location("predict", folder / "predict.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def answers(folder: Path, pictures: list[Path]) -> tuple[Any, list[str]]:
    """Returns the logits (pictures x classes) of an export, and the names of its classes."""
    module = exported(folder)
    predictor = module.Predictor(folder)
    logits = []
    for first in range(0, len(pictures), AT_ONCE):
        pixels = [
            module.read_picture(one, predictor.image) for one in pictures[first : first + AT_ONCE]
        ]
        images = module.normalised(np.stack(pixels), predictor.mean, predictor.std)
        logits.append(np.array(predictor.network(images)))
    return np.concatenate(logits), predictor.classes


def main() -> None:
    """Reads the command line, measures, and writes the row."""
    parser = argparse.ArgumentParser(description="Test accuracy of an exported network.")
    parser.add_argument("export", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--beside", type=Path)
    given = parser.parse_args()
    if importlib.util.find_spec("nastk") is not None:
        sys.exit("nastk can be imported here; run this in an environment without it.")
    pictures = sorted(given.test.glob("*/*"))
    logits, classes = answers(given.export, pictures)
    truth = np.array([classes.index(one.parent.name) for one in pictures])
    right = int((logits.argmax(axis=1) == truth).sum())
    model = json.loads((given.export / "model.json").read_text(encoding="utf-8"))
    row: dict[str, Any] = {
        "format": model["export"]["format"],
        "images": len(pictures),
        "right": right,
        "accuracy": right / len(pictures),
        "accuracy_in_model_json": model["test_accuracy"],
    }
    if given.beside is not None:
        other = np.load(given.beside.with_suffix(".npy"))
        row["largest_difference"] = float(np.abs(logits - other).max())
    np.save(given.out.with_suffix(".npy"), logits)
    given.out.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
