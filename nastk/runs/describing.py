"""What a run folder says of its run before it begins: `describe`, called by `run.py`."""

import torch

from nastk.base.environment import environment
from nastk.base.files import write_atomically
from nastk.base.values import document
from nastk.data.inventory import Inventory
from nastk.runs.assembly import Assembly
from nastk.runs.config import to_json
from nastk.runs.folder import CONFIG, DATA, ENVIRONMENT, RunFolder


def describe(folder: RunFolder, assembly: Assembly, inventory: Inventory, resumed: bool) -> None:
    """Write the run's configuration, the inventory of its images, and its environment."""
    write_atomically(folder.path / CONFIG, to_json(assembly.config).encode())
    if not resumed or not (folder.path / DATA).exists():
        write_atomically(folder.path / DATA, document(inventory.to_json()))
    _describe_environment(folder, assembly, resumed)


def _describe_environment(folder: RunFolder, assembly: Assembly, resumed: bool) -> None:
    """Write down versions and machine; a resumed run adds them where they are others."""
    execution = assembly.execution
    cuda, processes = execution.device.type == "cuda", execution.processes.size
    here = {
        **environment(),
        "device": torch.cuda.get_device_name(execution.device) if cuda else "cpu",
        "precision": "bf16" if execution.bf16 else "fp32",
        **({} if processes == 1 else {"processes": processes}),
    }
    before = folder.environments() if resumed else []
    if here not in before[-1:]:
        write_atomically(folder.path / ENVIRONMENT, document({"environments": [*before, here]}))
