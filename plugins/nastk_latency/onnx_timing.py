"""`Onnx` times a network's ONNX graph under onnxruntime, on the processor."""

import contextlib
import io
import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nastk import ConfigurationError, Task
from nastk.base import library
from nastk_latency.scaling import median_seconds
from nastk_latency.timing import clock_of

CLOSE = 1e-3
"""The largest difference between the logits of both runtimes, as a share of the largest logit."""


@dataclass(frozen=True)
class Onnx:
    """Seconds of a forward pass under onnxruntime, the median of `repeats` passes.

    `threads` are those of onnxruntime; 0 is its own choice. The graph is compared with the network
    before it is timed.

    Example: `Onnx(batch=1, repeats=11, threads=1)(network, task)`
    """

    batch: int
    repeats: int
    threads: int

    def __call__(self, network: nn.Module, task: Task) -> float:
        """See `Clocked`.

        Raises:
            MissingExtraError: the extra `onnx` is not installed.
            ConfigurationError: the network cannot be written as ONNX, or computes something else.
        """
        runtime = libraries()
        images = torch.randn(self.batch, *task.shape)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "network.onnx")
            _write(network, images, path)
            options = runtime.SessionOptions()
            options.intra_op_num_threads = self.threads
            session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        given = {session.get_inputs()[0].name: images.numpy()}
        with torch.inference_mode():
            _compare(network(images), torch.from_numpy(session.run(None, given)[0]))
        clock = clock_of(torch.device("cpu"), self.threads)
        return median_seconds(lambda: session.run(None, given), self.repeats, clock)


def libraries() -> Any:
    """Returns onnxruntime, after looking for what torch needs to write ONNX.

    Raises:
        MissingExtraError: the extra `onnx` is not installed.
    """
    library("onnx", "onnx", "nastk scale --onnx")
    library("onnxscript", "onnx", "nastk scale --onnx")
    return library("onnxruntime", "onnx", "nastk scale --onnx")


def _write(network: nn.Module, images: Tensor, path: Path) -> None:
    """Writes the ONNX graph of a network, for batches of this shape."""
    logged_before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    silent = contextlib.redirect_stdout(io.StringIO())
    try:
        with warnings.catch_warnings(), silent, torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(network, (images,), dynamo=True, verbose=False)
            program.save(path, external_data=False)
    except Exception as error:  # whatever the network's own code, torch or onnxscript raises
        words = (str(error).strip() or "no message").splitlines()[0]
        raise ConfigurationError(
            f"The network cannot be written as ONNX ({type(error).__name__}: {words}). Leave out "
            "--onnx."
        ) from error
    finally:
        logging.disable(logged_before)


def _compare(ours: Tensor, theirs: Tensor) -> None:
    """Raises a `ConfigurationError` if onnxruntime gives other logits than torch."""
    difference = float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-12))
    if not difference <= CLOSE:
        raise ConfigurationError(
            f"Under onnxruntime the network gives logits that differ by {difference:.1e} of the "
            "largest one; its time would be that of another network. Leave out --onnx."
        )
