"""`Building` trains the networks of a table, one after the other, each with several seeds.

`networks.py` says which networks, `trainings.py` keeps what is trained, `collecting.py` makes a
table of it, `expecting.py` says before what it costs. The evaluator is any that measures accuracy
without a supernet; it is reached by its name.
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

import nastk
from nastk import (
    ConfigurationError,
    Evaluation,
    EvaluationContext,
    Evaluator,
    NastkError,
    StopRequested,
    catalogue,
)
from nastk.cli import Subject
from nastk.nn import multiply_adds, parameters, without_auxiliary
from nastk.train import evaluated
from nastk_tables.networks import Network, Selection
from nastk_tables.trainings import FAILED, Trainings

PLACES = frozenset({"path", "root"})
"""Options of data that say where files lie, which does not matter."""
ACCURACIES = ("valid_accuracy", "test_accuracy", "train_accuracy")


@dataclass(frozen=True)
class Progress:
    """How far a table is: trainings `done` (those that `failed` among them) of `total`."""

    done: int
    failed: int
    total: int


class Building:
    """The trainings of the networks in `selection` by an evaluator, on the images of `subject`.

    Args:
        subject: the space, the images and the device; its architecture does not matter.
        selection: the networks.
        evaluator: the evaluator's name.
        options: its options; a preset is filled in.
        seeds: each network is trained with each.
        folder: where trainings are kept.

    Raises:
        ConfigurationError: the evaluator cannot measure single networks, or an option is wrong.

    Example: `Building(subject, whole(space), "retrain", {"epochs": 8}, [0], folder).train(context)`
    """

    def __init__(
        self,
        subject: Subject,
        selection: Selection,
        evaluator: str,
        options: Mapping[str, Any],
        seeds: Sequence[int],
        folder: Path,
    ) -> None:
        self.subject, self.selection, self.seeds = subject, selection, tuple(seeds)
        self._class: type[Evaluator] = catalogue().load("evaluator", evaluator)
        if self._class.needs_supernet:
            raise ConfigurationError(
                f"Evaluator {evaluator!r} needs a trained supernet, and a table is built of "
                "networks that stand alone. Use one that trains them, such as -e retrain,epochs=20."
            )
        found = subject.options_of(evaluator, options)
        if found.get("seed") is not None:
            raise ConfigurationError(
                f"seed={found['seed']} would train all seeds alike. Seeds are given with --seeds."
            )
        self._options = self._class.parse_options(found)
        self.evaluator(subject.context, self.seeds[0])
        data = {name: value for name, value in subject.data.options.items() if name not in PLACES}
        self.origin: dict[str, Any] = {
            "space": {"name": subject.space.name, "options": dict(subject.space.options)},
            "data": {"name": subject.data.name, "options": data, "digests": subject.digests()},
            "evaluator": {"name": evaluator, "options": found},
        }
        self.trainings = Trainings(folder, self.origin)

    def evaluator(self, context: EvaluationContext, seed: int) -> Evaluator:
        """Returns the evaluator for a seed."""
        return self._class(replace(context, seed=seed), self._options)

    @property
    def pieces(self) -> Iterator[tuple[Network, int]]:
        """The trainings in their order: every network with the first seed, then with the second."""
        return ((network, seed) for seed in self.seeds for network in self.selection.networks)

    def progress(self) -> Progress:
        """Returns how far the table is, whoever trained."""
        found = [self.trainings.of(network.key, seed) for network, seed in self.pieces]
        done = [content for content in found if content is not None]
        return Progress(len(done), sum(FAILED in content for content in done), len(found))

    def train(self, context: EvaluationContext, most_failures: int = 10) -> Progress:
        """Called to build: does every training that is neither done nor in another process's work.

        Returns how far the table is afterwards; others may still be at work.

        Raises:
            NastkError: more than `most_failures` trainings failed.
            ConfigurationError: the evaluator measures no accuracy.
            StopRequested: the user asked to stop; what is finished is kept.
        """
        self.trainings.check()
        self.trainings.begin()
        while self._pass(context, most_failures):
            pass  # another process may have been killed meanwhile, which leaves its training free
        last = self.progress()
        if last.failed > most_failures:
            raise self._too_many(last)
        return last

    def _pass(self, context: EvaluationContext, most_failures: int) -> int:
        """Goes through all trainings once; returns how many of them this process did."""
        done = 0
        for network, seed in self.pieces:
            context.run.check()
            if self.trainings.of(network.key, seed) is not None:
                continue
            with self.trainings.claimed(network.key, seed) as mine:
                if not mine or self.trainings.of(network.key, seed) is not None:
                    continue
                now = self.progress()
                if now.failed > most_failures:
                    raise self._too_many(now)
                content = self._trained(network, seed, _telling(context, now, seed))
                self.trainings.keep(network.key, seed, content)
                done += 1
        return done

    def retry(self) -> int:
        """Called before `train` to train again what failed: returns how many trainings that is."""
        failed = [
            piece for piece in self.pieces if FAILED in (self.trainings.of(*_named(piece)) or {})
        ]
        for piece in failed:
            self.trainings.forget(*_named(piece))
        return len(failed)

    def _trained(self, network: Network, seed: int, context: EvaluationContext) -> dict[str, Any]:
        """Trains a network; returns what is known of it, or why it failed, as JSON."""
        architecture = network.architecture
        known = {"architecture": self.subject.context.space.to_text(architecture), "seed": seed}
        images = [0, 0]

        def charge(forward: int, backward: int) -> None:
            images[:] = images[0] + forward, images[1] + backward
            context.run.charge(forward, backward)

        began = perf_counter()
        counting = replace(context, run=replace(context.run, charge=charge))
        try:
            evaluation = evaluated(self.evaluator(counting, seed), architecture, None)
        except StopRequested:
            raise
        except Exception as error:  # a network may fail in any way, and the others go on
            reason = str(error) if isinstance(error, NastkError) else f"{error!r}"
            return {**known, FAILED: reason.splitlines()[0]}
        self._check_accuracy(evaluation)
        return {
            **known,
            "metrics": {**self._sizes(network, evaluation), **evaluation.metrics},
            "seconds": evaluation.seconds or perf_counter() - began,
            "images": images,
            "environment": self.environment,
        }

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions and machine, as far as results depend on them."""
        device = self.subject.context.device
        return {
            "nastk": nastk.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "threads": torch.get_num_threads(),
        }

    def _check_accuracy(self, evaluation: Evaluation) -> None:
        """Raises if an evaluation has no accuracy, which a table is about."""
        if not any(name in evaluation.metrics for name in ACCURACIES):
            raise ConfigurationError(
                f"Evaluator {evaluation.evaluator!r} measures {', '.join(evaluation.metrics)}, and "
                f"a table needs one of {', '.join(ACCURACIES)}. Use one that trains networks, such "
                "as -e retrain,epochs=20."
            )

    def _sizes(self, network: Network, evaluation: Evaluation) -> dict[str, int]:
        """Returns parameters and multiply-adds of the network that was trained.

        An evaluator that trains another network than the run's space makes, such as a smaller one,
        says so by an option `network`, options of the space. Empty where its count of parameters
        is another one all the same.
        """
        space, task = self.subject.context.space, self.subject.context.task
        if changes := getattr(self._options, "network", None):
            space = space.with_options(changes)
        with torch.device("meta"):
            counted = without_auxiliary(space.network(network.architecture, task))
        number = parameters(counted)
        if evaluation.metrics.get("parameters", number) != number:
            return {}
        return {"parameters": number, "multiply_adds": multiply_adds(counted, task.shape)}

    def _too_many(self, progress: Progress) -> NastkError:
        """Returns the error that ends a building in which too many trainings fail."""
        contents = (self.trainings.of(*_named(piece)) or {} for piece in self.pieces)
        reason = next(content[FAILED] for content in contents if FAILED in content)
        return NastkError(
            f"{progress.failed} of {progress.done} trainings failed. The first: {reason} Allow "
            "more with --max-failures, or train them again with --retry-failed."
        )


def _named(piece: tuple[Network, int]) -> tuple[str, int]:
    return piece[0].key, piece[1]


def _telling(context: EvaluationContext, now: Progress, seed: int) -> EvaluationContext:
    """Returns a context whose progress is that of the whole table."""

    def tell(message: str, done: int, total: int) -> None:
        begun = done / total if total else 0.0
        failed = f", {now.failed:,} failed" if now.failed else ""
        place = f"{now.done + 1:,} of {now.total:,}{failed}: seed {seed}, {message}"
        context.run.tell(place, round(1000 * (now.done + begun)), 1000 * now.total)

    return replace(context, run=replace(context.run, tell=tell))
