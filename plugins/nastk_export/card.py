"""The model card: `model.json`, and `README.md` in the form that Hugging Face reads.

Both hold the same facts: those of the trained model, and under `export` those of the export.
"""

import io
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from rich.console import Console

from nastk import Architecture, NastkError, TrainedModel
from nastk.report import cell
from nastk_export.formats import Format

USE = {
    "safetensors": """from safetensors.torch import load_file

from model import load

network = load(load_file("model.safetensors"))
logits = network(images)""",
    "python": """from model import load

network = load()
logits = network(images)""",
    "torch-export": """import torch

network = torch.export.load("model.pt2").module()
logits = network(images)""",
    "onnx": """import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
(logits,) = session.run(["logits"], {"images": images})""",
    "executorch": """from executorch.runtime import Runtime

method = Runtime.get().load_program("model.pte").load_method("forward")
(logits,) = method.execute([images])""",
}
"""How each format is loaded, with `images` as the network takes them."""


def document(facts: Mapping[str, Any]) -> bytes:
    """Returns the content of `model.json`."""
    return (json.dumps(facts, indent=2) + "\n").encode()


def readme(facts: Mapping[str, Any], format: Format) -> str:
    """Returns the content of `README.md`: the card for people, with its head for Hugging Face."""
    model = TrainedModel.model_validate(facts)
    export = facts["export"]
    parts = [
        f"---\n{yaml.safe_dump(_head(model, export, format), sort_keys=False)}---",
        f"# {_title(model)}",
        f"An image classifier for {len(model.classes)} classes. Its architecture was chosen in the "
        f"search space `{model.space.name}` of nastk, and trained on `{model.data.name}`.",
        _table(_numbers(model, export)),
        "## Use",
        f"`pip install {' '.join(format.libraries)}`, then",
        "```bash\npython predict.py photo.jpg\n```",
        f"or in Python, where `images` are {_shape(model)} numbers, (pixel / 255 - mean) / std "
        "with the mean and deviation in `model.json` (`predict.py` does that):",
        f"```python\n{USE[format.name]}\n```",
        "## Architecture",
        f"```text\n{_drawn(model)}\n```",
        f"`{model.architecture}`",
        "## Training",
        _table({key.replace("_", " "): _word(value) for key, value in model.recipe.items()})
        or "The recipe was not recorded.",
        f"Began from: {model.weights_from}. Epochs: {model.epochs}. Images: {model.images:,}. "
        f"Seconds: {model.seconds:,.0f}.",
        "## Check",
        f"This export was loaded again without nastk and compared with the network: the largest "
        f"difference of a logit over {export['random_images']} random and {export['real_images']} "
        f"real images is {export['largest_difference']:.2g}.",
        "## Provenance",
        f"Made with nastk {model.nastk}, architecture {model.architecture_id}, seed {model.seed}.",
        _commands(model, export),
        _table({name: _word(value) for name, value in model.environment.items()}),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(model: TrainedModel, export: Mapping[str, Any], format: Format) -> dict[str, Any]:
    """Returns what Hugging Face reads at the top of a card."""
    scores = [row["test_accuracy"] for row in export["seeds"] if row["seed"] == model.seed]
    head: dict[str, Any] = {
        "license": export["license"],
        "library_name": format.tag,
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "neural-architecture-search", "nastk", model.space.name],
        "metrics": ["accuracy"],
    }
    if scores and scores[0] is not None:
        head["model-index"] = [
            {
                "name": _title(model),
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {"name": model.data.name, "type": model.data.name},
                        "metrics": [{"type": "accuracy", "value": round(scores[0], 4)}],
                    }
                ],
            }
        ]
    return head


def _title(model: TrainedModel) -> str:
    return f"{model.space.name} {model.architecture_id} on {model.data.name}"


def _numbers(model: TrainedModel, export: Mapping[str, Any]) -> dict[str, str]:
    """Returns the rows of the table at the top."""
    adds = model.multiply_adds
    rows = {
        "test accuracy": _percent(model.test_accuracy),
        "validation accuracy": _percent(model.valid_accuracy),
        "over seeds": _over_seeds(export["seeds"]),
        "parameters": f"{model.parameters:,}",
        "multiply-adds of an image": "" if adds is None else f"{adds:,}",
        "images": _shape(model),
        "classes": ", ".join(
            str(index) if name is None else name for index, name in enumerate(model.classes[:20])
        )
        + (", ..." if len(model.classes) > 20 else ""),
        "largest batch": str(export["largest_batch"] or "any"),
        "licence": str(export["license"]),
    }
    return {name: text for name, text in rows.items() if text}


def _over_seeds(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns mean and deviation of the test accuracies, where there are several."""
    scores = [row["test_accuracy"] for row in rows if row["test_accuracy"] is not None]
    if len(scores) < 2:
        return ""
    mean, deviation = 100 * statistics.mean(scores), 100 * statistics.stdev(scores)
    return f"{mean:.2f} ± {deviation:.2f} % test accuracy over {len(scores)} seeds"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _shape(model: TrainedModel) -> str:
    image = model.image
    return f"{image.channels} x {image.height} x {image.width}"


def _table(rows: Mapping[str, str]) -> str:
    """Returns a Markdown table of names and texts."""
    if not rows:
        return ""
    lines = [f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _word(value: Any) -> str:
    """Returns a value of the recipe as text on one line."""
    return value if isinstance(value, str) else json.dumps(value)


def _drawn(model: TrainedModel) -> str:
    """Returns the architecture drawn in characters; its text where it cannot be drawn."""
    try:
        architecture: Architecture = model.decision()
    except NastkError:
        return model.architecture
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(cell(architecture))
    drawing: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in drawing.splitlines()).strip("\n")


def _commands(model: TrainedModel, export: Mapping[str, Any]) -> str:
    """Returns the commands that repeat the training and the export."""
    lines = [line for line in (model.command, export["command"]) if line]
    return "```bash\n" + "\n".join(lines) + "\n```" if lines else ""
