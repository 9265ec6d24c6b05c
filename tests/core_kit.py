"""What the tests of the core share: updaters that do one thing, and a search in a folder."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

import nastk
from nastk import ArchitectureUpdater, Catalogue, Continuation, Mixture, Offer, Probe, catalogue
from nastk.base.plugins import Installed
from nastk.testing import Harness, ToySpace, UpdaterContract, fingerprint
from nastk.testing.toy import ToySupernet

TIMES = ("time", "seconds", "cpu_seconds")
WISHES = {
    "space": "toy",
    "updater": "toy-split",
    "data": "toy",
    "trainer": {"epochs": 2, "batch_size": 16, "log_every": 1},
}
UPDATERS = {
    "darts": {},
    "shapley": {"samples": 2, "warmup": 1, "batch_size": 16},
    "random": {"candidates": 3},
    "toy-split": {},
}


class Still(ArchitectureUpdater):
    """Learns nothing: a uniform mixture and the first architecture."""

    name, summary = "still", "learns nothing"

    def mixtures(self, probe):
        return [Mixture.uniform(probe.subspace)]

    def architecture(self, probe):
        return self.space.decide(torch.zeros(probe.subspace.mask.shape), probe.subspace)


def answering(
    mixtures: Callable[[Probe], Any] | None = None,
    after_epoch: Callable[[Probe], Sequence[Continuation]] | None = None,
    **attributes: Any,
) -> type[ArchitectureUpdater]:
    """An updater class like `Still` with these answers instead."""
    methods: dict[str, Any] = dict(attributes)
    if mixtures:
        methods["mixtures"] = lambda self, probe: mixtures(probe)
    if after_epoch:
        methods["after_epoch"] = lambda self, probe: after_epoch(probe)
    return type("Answering", (Still,), {"name": "answering", **methods})


def small(
    updater: type[ArchitectureUpdater] = Still,
    options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Harness:
    """A harness, one epoch long unless `changes` say otherwise."""
    trainer_options = {"epochs": 1, **changes.pop("trainer_options", {})}
    return Harness(updater, options or {}, trainer_options=trainer_options, **changes)


def started(
    updater: type[ArchitectureUpdater] = Still, steps: int = 0, **changes: Any
) -> tuple[Any, Any, Any]:
    """(harness, branch, probe) after `steps` weight steps."""
    harness = small(updater, **changes)
    branches = [harness.trainer.root()]
    if steps:
        harness.run(branches, steps=steps)
    return harness, branches[0], harness.trainer.probe(branches[0])


def searched(out: Any, **request: Any) -> nastk.Result:
    """A finished search on the toy, two epochs long."""
    return nastk.search(**{**WISHES, **request}, out=out)


def rewrite(path: Any, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the JSON object in a file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


class ShortContract(UpdaterContract):
    """Two weight steps an epoch: stops fall inside an epoch, at its end, and after the last."""

    trainer_options: ClassVar = {"batch_size": 24}


class NoisySupernet(ToySupernet):
    """Draws from torch's global stream in every forward pass, as dropout does."""

    def forward(self, images, mixture):
        return F.dropout(super().forward(images, mixture), 0.5)


class NoisySpace(ToySpace):
    """The toy with operations that draw."""

    def supernet(self, task):
        return NoisySupernet(self.options.channels, task)


def installed(name):
    return catalogue().load("updater", name)


def harness_of(name, **changes):
    return Harness(installed(name), UPDATERS[name], **changes)


def weights(branch):
    return fingerprint(branch.supernet.state_dict())


def events(harness, kind):
    return [event for event in harness.events if isinstance(event, kind)]


def with_classes(**classes):
    """The catalogue with these classes beside what is installed: `updater=Still`."""
    real = catalogue()

    class Wider(Catalogue):
        def load(self, kind, name):
            one = classes.get(kind)
            return one if one is not None and one.name == name else real.load(kind, name)

    installed = {kind: dict(found) for kind, found in real.installed.items()}
    for kind, one in classes.items():
        installed[kind][one.name] = [Installed(kind, Offer(one.name, one.summary, ""), "test", "0")]
    return Wider(real.manager, installed)


def without_time(event):
    """A line of `events.jsonl` without what two equal runs differ in: clock and CPU seconds."""
    return {key: value for key, value in event.items() if key not in TIMES}
