"""The shared warm-up of a study: which weights a run begins with, and what they cost.

A study's warm-ups are runs in `STUDY/warm-up`, one for each problem and seed (`warm_up_plan.py`). A
run finds its own by what it is, its space, images, seed, updater and epochs: no path is stored, so
that a study's folder may be moved. `first_weights` is asked when a run begins, `costs` afterwards.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nastk.base.component import ComponentSpec, written
from nastk.base.errors import ConfigurationError, NastkError
from nastk.base.plugins import catalogue
from nastk.report.numbers import counted
from nastk.runs import checkpoint
from nastk.runs.continuing import resolved
from nastk.runs.folder import CONFIG, RunFolder
from nastk.runs.result import Result
from nastk.runs.search_config import SearchConfig, WarmUp

FOLDER = "warm-up"
"""The folder in a study's folder that holds its warm-ups."""
SPENT = ("images_forward", "images_backward", "seconds", "cpu_seconds")
"""What is said of the cost of a warm-up."""


def first_weights(config: SearchConfig, study: Path | None) -> str | None:
    """Returns the file of the weights that a run begins with; None: fresh ones.

    Args:
        config: the run's configuration.
        study: the folder of its study, which holds the warm-ups; None: there is none.

    Raises:
        ConfigurationError: the run's warm-up is not there, has no weights any more, or several.
        NastkError: its warm-up is not finished, or has failed; says why.
    """
    if config.weights is not None or config.warm_up is None or not has_supernet(config):
        return config.weights
    found = None if study is None else warm_up_of(config, study)
    if found is None:
        place = "and no study was named" if study is None else f"which is not in {study / FOLDER}"
        raise ConfigurationError(
            f"This run begins with the shared warm-up of a study ({words(config.warm_up)}), "
            f"{place}. `nastk compare` makes it; a search of its own begins with the weights of a "
            "file (`--weights FILE`)."
        )
    if (state := found.state()) != "finished":
        why = f"failed: {found.error()}" if state == "failed" else f"is not finished ({state})"
        raise NastkError(f"The shared warm-up {found.path} {why}")
    return str(_weights(found))


def has_supernet(config: SearchConfig) -> bool:
    """True if the run's updater trains a supernet, which may begin with weights."""
    return bool(catalogue().load("updater", config.updater.name).trains_supernet)


def warm_up_of(config: SearchConfig, study: Path) -> RunFolder | None:
    """Returns the folder of the warm-up that a run begins with; None where there is none yet."""
    for file in sorted((study / FOLDER).glob(f"*-seed{config.seed}/{CONFIG}")):
        folder = RunFolder(file.parent)
        kept = resolved(folder)
        warm_up = WarmUp(updater=kept.updater, epochs=kept.trainer.epochs)
        if (kept.space, kept.data, warm_up) == (config.space, config.data, config.warm_up):
            return folder
    return None


def words(warm_up: WarmUp) -> str:
    """Returns a warm-up in words: `random(candidates=1), 20 epochs`."""
    return f"{label(warm_up)}, {counted(warm_up.epochs, 'epoch')}"


def label(warm_up: WarmUp) -> str:
    """Returns the updater of a warm-up with the options that are not its defaults."""
    updater = catalogue().load("updater", warm_up.updater.name)
    usual: dict[str, Any] = {}
    with suppress(ConfigurationError):  # it may have an option without a default
        usual = written(updater.parse_options())
    given = {
        name: value
        for name, value in warm_up.updater.options.items()
        if name not in usual or usual[name] != value
    }
    return ComponentSpec(warm_up.updater.name, given).label


def costs(study: Path, problems: Mapping[str, Sequence[SearchConfig]]) -> list[dict[str, Any]]:
    """Returns what the finished warm-ups of a study's runs have cost: one entry a problem.

    It has `problem`, `updater`, `epochs`, `seeds` and `runs` (their folders), and in the order of
    the seeds `images_forward`, `images_backward`, `seconds` and `cpu_seconds`.

    Args:
        study: the study's folder.
        problems: the configurations of the runs of each problem, by its label.
    """
    found = []
    for problem, configs in problems.items():
        begun = [each for each in configs if each.warm_up is not None and has_supernet(each)]
        by_seed = {each.seed: warm_up_of(each, study) for each in begun}
        done = {
            seed: folder
            for seed, folder in by_seed.items()
            if folder is not None and folder.state() == "finished"
        }
        if done and (warm_up := begun[0].warm_up):
            totals = [Result(folder).cost.search for folder in done.values()]
            found.append(
                {
                    "problem": problem,
                    "updater": label(warm_up),
                    "epochs": warm_up.epochs,
                    "seeds": list(done),
                    "runs": [f"{FOLDER}/{folder.path.name}" for folder in done.values()],
                    **{name: [getattr(total, name) for total in totals] for name in SPENT},
                }
            )
    return found


def _weights(folder: RunFolder) -> Path:
    """Returns the last checkpoint of a finished warm-up.

    Raises:
        ConfigurationError: there is none any more, or it holds the weights of several branches.
        CheckpointError: it is damaged.
    """
    files = sorted(folder.checkpoints.glob("*.safetensors"))
    again = f"Remove {folder.path}, and the command that began the study trains it again."
    if not files:
        raise ConfigurationError(
            f"The shared warm-up {folder.path} has no checkpoint any more, whose weights this run "
            f"begins with. {again}"
        )
    branches = len(checkpoint.read(files[-1]).branches)
    if branches > 1:
        raise ConfigurationError(
            f"The shared warm-up {folder.path} ended in {branches} branches with weights of their "
            "own, and a run begins with one supernet. Choose an updater for the warm-up that "
            "does not split."
        )
    return files[-1]
