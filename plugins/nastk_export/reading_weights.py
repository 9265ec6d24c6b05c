"""The end of every `model.py`: reads a safetensors file with torch alone.

`python_source.py` copies the text of `load_weights` into the file that it writes.
"""

import json
import struct

import torch


def load_weights(path: str) -> dict[str, torch.Tensor]:
    """Returns the tensors of a safetensors file by name.

    The file begins with the length of a JSON object (8 bytes, the lowest first) and the object,
    which says where in the rest of the file each tensor lies.
    """
    types = {
        "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
        "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
        "U8": torch.uint8, "BOOL": torch.bool,
    }  # fmt: skip
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        content = bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        numbers = torch.frombuffer(content[start:end], dtype=types[entry["dtype"]])
        tensors[name] = numbers.reshape(entry["shape"])
    return tensors
