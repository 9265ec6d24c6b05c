"""Small trained models to export: `trained`, whose statistics are no longer the first ones."""

from pathlib import Path

import torch

from nastk import DataSource, SearchSpace, TrainedModel, catalogue

SMALL = {
    "darts": {"network_channels": 4, "network_cells": 3},
    "nasbench201": {"network_channels": 4, "network_cells": 1},
    "nasbench-macro": {"channels": 4, "network_head_channels": 16},
    "mobilenet": {"width_multiplier": 0.25},
    "s1": {"network_channels": 4, "network_cells": 3},
    "s2": {"network_channels": 4, "network_cells": 3},
    "s3": {"network_channels": 4, "network_cells": 3},
    "toy": {},
}
"""Options of each space for a small network."""


def made(kind, name, options):
    component = catalogue().load(kind, name)
    return component(component.parse_options(options))


def small(space, seed=0):
    """A space with options for small networks, and a random architecture of it."""
    known = catalogue().load("space", space).Options.model_fields
    options = {name: value for name, value in SMALL.get(space, {}).items() if name in known}
    its_space: SearchSpace = made("space", space, options)
    rng = torch.Generator().manual_seed(seed)
    return its_space, its_space.sample(its_space.full(), rng), options


def network_of(space, architecture, task, seed=0):
    """The network, in evaluation mode, with running statistics as training leaves them."""
    torch.manual_seed(seed)
    network = space.network(architecture, task).eval()
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.3)
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
    return network


def trained(folder: Path, space="nasbench201", data="toy", seed=0, **changes) -> TrainedModel:
    """A model in `folder`, with made-up accuracies."""
    its_space, architecture, options = small(space)
    source: DataSource = made("data", data, changes.pop("data_options", {}))
    task, augmentation = source.task, source.splits(0).train.augmentation
    network = network_of(its_space, architecture, task, seed)
    facts = {
        "nastk": "0.1.0",
        "space": {"name": space, "options": options},
        "architecture": its_space.to_text(architecture),
        "architecture_id": architecture.id,
        "classes": task.names,
        "image": {"channels": task.channels, "height": task.height, "width": task.width},
        "mean": augmentation.mean,
        "std": augmentation.std,
        "data": {"name": data, "options": source.options.model_dump(mode="json")},
        "recipe": {"rate": 0.025, "batch_size": 96},
        "seed": seed,
        "epochs": 3,
        "valid_accuracy": 0.9,
        "test_accuracy": 0.875 + 0.01 * seed,
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "command": "nastk train runs/a",
        **changes,
    }
    return TrainedModel(**facts).save(folder, network)
