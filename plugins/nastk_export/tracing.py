"""`traced`: a network as a program of torch's operations, for any number of images."""

import warnings

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from nastk import ConfigurationError

EXAMPLES = 2
"""Images of the batch that a network is traced with; with one, torch would take the number of
images for a constant."""


def traced(
    network: nn.Module, shape: tuple[int, int, int], most: int | None = None
) -> ExportedProgram:
    """Returns the program that `network` runs for a batch of images.

    Args:
        network: on the CPU, in evaluation mode.
        shape: (channels, height, width) of the images.
        most: the most images of a batch; None for any number.

    Raises:
        ConfigurationError: the network cannot be traced, or gives more than logits.
    """
    images = torch.zeros(EXAMPLES, *shape)
    batch = Dim("batch") if most is None else Dim("batch", min=1, max=most)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logits = network(images)
            program = torch.export.export(
                network, (images,), dynamic_shapes=({0: batch},), strict=False
            )
            if any(_changes_values(node.target) for node in program.graph.nodes):
                program = program.run_decompositions({})
    except Exception as error:  # whatever the network's own code or torch raises
        raise ConfigurationError(
            f"The network cannot be traced by torch.export ({type(error).__name__}: "
            f"{_first_line(error)}). Its forward pass must not depend on the values of tensors, "
            "and take batches of any size."
        ) from error
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        raise ConfigurationError(
            "An exported network gives one tensor, images x classes; this one gives "
            f"{_described(logits)}."
        )
    return program


def _changes_values(target: object) -> bool:
    """True for an operation that changes its argument, such as an in-place activation."""
    schema = getattr(target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0]


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
