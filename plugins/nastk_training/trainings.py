"""The trainings of all seeds of a plan: `train_all`, its summary, and what the run books of it."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nastk import Cost, Evaluation, EvaluationContext, NastkError, PhaseCost, TrainedModel
from nastk.base import claimed, write_atomically
from nastk_training.seed import Plan, SeedTraining

SUMMARY = "training.json"
ACCURACIES = ("valid_accuracy", "test_accuracy")


def train_all(plan: Plan, seeds: Sequence[int], context: EvaluationContext) -> list[TrainedModel]:
    """Trains every seed that is not finished; returns the models in the order of the seeds.

    What was trained is added to the run's result, with its cost, where the plan has a run.

    Raises:
        NastkError: another process trains in this folder.
        StopRequested: the user asked to stop; the state is kept.
    """
    trainings = [SeedTraining(plan, seed, (n, len(seeds))) for n, seed in enumerate(seeds)]
    for training in trainings:
        training.check()
    with claimed(plan.folder / "training.lock") as mine:
        if not mine:
            raise NastkError(
                f"Another process trains in {plan.folder}. Wait for it, or name another place with "
                "--name or --out."
            )
        return _train_all(plan, trainings, context)


def _train_all(
    plan: Plan, trainings: Sequence[SeedTraining], context: EvaluationContext
) -> list[TrainedModel]:
    seeds = [training.seed for training in trainings]
    models = {training.seed: model for training in trainings if (model := training.finished())}
    for training in trainings:
        if training.seed in models:
            continue
        model = models[training.seed] = training.run(context)
        done = [models[seed] for seed in seeds if seed in models]
        spent = PhaseCost(*training.images, seconds=model.seconds)
        # Booked seed by seed: a later one may be killed.
        plan.subject.add(evaluation(done, plan.folder.name), Cost({"evaluate": spent}))
    found = [models[seed] for seed in seeds]
    content = json.dumps(summary(plan.folder, found), indent=2) + "\n"
    write_atomically(plan.folder / SUMMARY, content.encode())
    return found


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Returns mean and sample standard deviation (None for a single value) of some numbers.

    >>> spread([0.5])
    {'mean': 0.5, 'std': None, 'values': [0.5]}
    """
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": deviation, "values": list(values)}


def spreads(models: Sequence[TrainedModel]) -> dict[str, dict[str, Any]]:
    """Returns the spread over seeds of each accuracy that all models have."""
    found = {}
    for name in ACCURACIES:
        values = [getattr(model, name) for model in models]
        if values and None not in values:
            found[name] = spread(values)
    return found


def evaluation(models: Sequence[TrainedModel], name: str) -> Evaluation:
    """Returns what a run's result says of a training: mean and deviation over the seeds.

    The names differ from those of the supernet's accuracies, which are of other weights.
    """
    metrics: dict[str, float | int] = {}
    for metric, over_seeds in spreads(models).items():
        metrics[f"trained_{metric}"] = over_seeds["mean"]
        if over_seeds["std"] is not None:
            metrics[f"trained_{metric}_std"] = over_seeds["std"]
    first = models[0]
    metrics |= {"trained_seeds": len(models), "trained_epochs": first.epochs}
    seeds = ", ".join(str(model.seed) for model in models)
    begun = "from scratch" if first.weights_from == "scratch" else f"from {first.weights_from}"
    note = f"Trained {begun} for {first.epochs} epochs, seeds {seeds}; the models are kept."
    label = "train" if name == "train" else f"train/{name}"
    return Evaluation(label, metrics, (note,), sum(model.seconds for model in models))


def summary(folder: Path, models: Sequence[TrainedModel]) -> dict[str, Any]:
    """Returns a training in JSON: the folder, the spread of each accuracy, and every model."""
    return {
        "folder": str(folder),
        "architecture": models[0].architecture,
        "architecture_id": models[0].architecture_id,
        "seeds": [model.seed for model in models],
        **spreads(models),
        "models": [model.to_json() for model in models],
    }
