"""`python_source`: a network as the text of a module that needs torch alone."""

import inspect

from torch import nn
from torch.export import ExportedProgram

from nastk_export.python_classes import classes_of
from nastk_export.reading_weights import load_weights

HEAD = '''"""{title}

{about}

    from model import load

    network = load()
    logits = network(images)  # {form}

`network` is an ordinary module in evaluation mode, which can be trained further.
"""

import json
import os
import struct

import torch
import torch.nn.functional as F
from torch import nn
'''

LOAD = '''def load(weights=None):
    """Returns the network in evaluation mode.

    `weights` are tensors by name; without them the file {weights} beside this module is read.
    """
    network = {name}()
    if weights is None:
        folder = os.path.dirname(os.path.abspath(__file__))
        weights = load_weights(os.path.join(folder, "{weights}"))
    network.load_state_dict(weights)
    return network.eval()
'''


def python_source(
    network: nn.Module, program: ExportedProgram, title: str, about: str, form: str, weights: str
) -> str:
    """Returns the text of `model.py`, which defines the network and loads its weights.

    Args:
        network: in evaluation mode.
        program: `network`, traced.
        title: the first line of the module's docstring.
        about: more of it, such as the architecture.
        form: the form of its images in words.
        weights: the name of the file of weights beside the module.

    Raises:
        ConfigurationError: something in the network cannot be written as Python.
    """
    classes, name = classes_of(network, program)
    head = HEAD.format(title=_quoted(title), about=_quoted(about), form=form)
    if not any("F." in text for text in classes):
        head = head.replace("import torch.nn.functional as F\n", "")
    reading = inspect.getsource(load_weights).replace("  # fmt: skip", "").rstrip()
    return "\n\n\n".join(
        [head.rstrip(), *classes, reading, LOAD.format(name=name, weights=weights)]
    )


def _quoted(text: str) -> str:
    """Returns a text that can stand in a docstring."""
    return text.replace("\\", "\\\\").replace('"""', "'''")
