"""What the files of a run say about it, as one value for pictures and reports: `RunRecord`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nastk.report.metrics import result_metrics
from nastk.report.names import data_name


@dataclass(frozen=True)
class RunRecord:
    """Everything that a run folder holds, except weights; read without torch and without images.

    `state` is running, finished, interrupted or failed, and `error` the message of a failed run.
    `config` is the resolved configuration, `history` the events. `result` is the content of
    `result.json` (empty while the run is unfinished), `data` the inventory of the images (empty
    where it cannot be read) and `environments` the machines and versions that worked on the run
    (empty for earlier versions).

    Example: `run_record(Path("runs/a")).result["architecture"]["id"]`
    """

    path: Path
    state: str
    config: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    environments: Sequence[Mapping[str, Any]] = ()
    error: str | None = None

    @property
    def title(self) -> str:
        """The updater, and the one that it is around: `gm around darts`."""
        updater = self.config["updater"]
        inner = updater["options"].get("inner")
        return f"{updater['name']} around {inner}" if inner else str(updater["name"])

    @property
    def subtitle(self) -> str:
        """Space, data and seed: `nasbench201 on digits, seed 0`."""
        data, seed = data_name(self.config["data"]), self.config["seed"]
        return f"{self.config['space']['name']} on {data}, seed {seed}"

    @property
    def metrics(self) -> dict[str, float | int]:
        """All metrics of a finished run, as `metrics_of` names them; none of an unfinished one."""
        return result_metrics(self.result)

    def images(self, split: str) -> int | None:
        """Returns the number of images in `split` (train, valid or test); None if unknown."""
        counts = ((self.data.get("splits") or {}).get(split) or {}).get("counts")
        return sum(counts) if counts else None
