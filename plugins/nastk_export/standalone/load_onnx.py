"""`load` for the format `onnx`: onnxruntime runs the graph in `model.onnx`."""

from pathlib import Path

from nastk_export.standalone.predict import Array, Network


def load(folder: Path) -> Network:
    """Returns the graph in `model.onnx` as a function from images to logits."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), providers=["CPUExecutionProvider"]
    )

    def logits(images: Array) -> Array:
        return session.run(["logits"], {"images": images})[0]  # type: ignore[no-any-return]

    return logits
