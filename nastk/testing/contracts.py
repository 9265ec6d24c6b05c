"""Contracts of updaters, spaces, evaluators and data sources, as tests to inherit.

A plugin's test is four lines:

    class TestMine(UpdaterContract):
        updater, options = Mine, {"samples": 2}

pytest collects the inherited tests. They run on the toy space, on a CPU, in seconds.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from nastk.base.component import Component
from nastk.base.errors import ConfigurationError, DataError
from nastk.data.opening import stream
from nastk.data.source import DataSource
from nastk.data.task import Task
from nastk.runs import checkpoint
from nastk.spaces.mixture import Mixture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Subspace
from nastk.testing.harness import Harness, fingerprint
from nastk.testing.toy import ToySpace
from nastk.train.diagnostics import Diagnostics
from nastk.train.evaluator import EvaluationContext, Evaluator, RunHandle
from nastk.train.updater import ArchitectureUpdater


def check_component(component: type[Component]) -> None:
    """Check a component's name, one-line summary and options, which need descriptions."""
    assert component.name and component.name == component.name.lower()
    assert component.summary and "\n" not in component.summary
    for name, field in component.Options.model_fields.items():
        assert field.description, f"option {name} has no description"
    with pytest.raises(ConfigurationError, match="has no option 'no_such_option'"):
        component.parse_options({"no_such_option": 1})


class UpdaterContract:
    """The contract of updaters.

    Set `updater`, and `options` that make it learn within three epochs.
    """

    updater: ClassVar[type[ArchitectureUpdater]]
    options: ClassVar[Mapping[str, Any]] = {}
    space: ClassVar[type[SearchSpace]] = ToySpace
    space_options: ClassVar[Mapping[str, Any]] = {}
    trainer_options: ClassVar[Mapping[str, Any]] = {}

    def harness(self, **changes: Any) -> Harness:
        """Returns a new harness for this updater."""
        space = self.space(self.space.parse_options(self.space_options))
        return Harness(
            self.updater, self.options, space, trainer_options=self.trainer_options, **changes
        )

    def test_declares_itself(self) -> None:
        check_component(self.updater)
        assert self.updater.needs <= {"train", "valid"}

    def test_plan_is_accepted_and_forecast_bounds_the_cost(self) -> None:
        harness = self.harness()
        branch = harness.trainer.root()
        assert branch.updater.incompatibility(harness.plan) is None
        forecast = branch.updater.max_cost(harness.plan)
        harness.run([branch])
        spent = harness.trainer.ledger.cost().phases["updater"]
        if forecast is not None:
            assert spent.images_forward <= forecast.images_forward
            assert spent.images_backward <= forecast.images_backward

    def test_mixtures_are_finite_and_inside_the_subspace(self) -> None:
        harness = self.harness()
        for branch in harness.run():
            for mixture in branch.updater.mixtures(harness.trainer.probe(branch)):
                outside = ~branch.subspace.mask
                assert torch.isfinite(mixture.weights).all()
                assert not (mixture.active & outside).any()
                assert (mixture.weights.detach().cpu()[outside] == 0).all()

    def test_measuring_changes_nothing(self) -> None:
        harness = self.harness()
        branches = harness.until("epoch")
        branch = branches[0]
        probe = harness.trainer.probe(branch)
        before = fingerprint(branch.supernet.state_dict()), branch.supernet.training
        branch.updater.before_step(probe, harness.trainer.train.at(branch.step))
        branch.updater.after_epoch(probe)
        branch.updater.architecture(probe)
        assert (fingerprint(branch.supernet.state_dict()), branch.supernet.training) == before

    def test_asking_for_the_architecture_changes_nothing_and_repeats(self) -> None:
        harness = self.harness()
        for branch in harness.run():
            probe = harness.trainer.probe(branch)
            before = fingerprint(branch.state_dict())
            first, second = branch.updater.architecture(probe), branch.updater.architecture(probe)
            assert first == second
            assert fingerprint(branch.state_dict()) == before

    def test_the_architecture_lies_in_the_subspace(self) -> None:
        harness = self.harness()
        for branch in harness.run():
            architecture = branch.updater.architecture(harness.trainer.probe(branch))
            assert branch.subspace.contains(Subspace(architecture.table()))
            assert harness.space.check(architecture) == architecture

    def test_the_same_seed_gives_the_same_bits_and_another_seed_other_weights(self) -> None:
        prints = [
            fingerprint([b.state_dict() for b in self.harness(seed=seed).run()])
            for seed in (0, 0, 1)
        ]
        assert prints[0] == prints[1] != prints[2]

    def test_stop_store_load_continue_equals_the_straight_run(self, tmp_path: Path) -> None:
        straight = fingerprint([branch.state_dict() for branch in self.harness().run()])
        for moment, path in self._checkpoints(tmp_path).items():
            harness = self.harness()
            states = checkpoint.read(path).branches
            resumed = harness.run([harness.trainer.restore(state) for state in states])
            assert fingerprint([branch.state_dict() for branch in resumed]) == straight, (
                f"stopped at {moment}"
            )

    def _checkpoints(self, folder: Path) -> dict[str, Path]:
        """Returns checkpoint files of a run by their moment: within, between and after epochs."""
        harness = self.harness()
        branches = [harness.trainer.root()]
        files: dict[str, Path] = {}
        taken = 0
        for moment in harness.trainer.run(branches):
            taken += moment == "step"
            if (moment == "step" and taken in (1, 3, 4, 7)) or moment == "end":
                subfolder = folder / f"{moment}-{taken}"
                subfolder.mkdir()
                states = [branch.state_dict() for branch in branches]
                state = checkpoint.Checkpoint(states, harness.trainer.ledger.cost())
                files[subfolder.name] = checkpoint.write(subfolder, state, "1")
        return files

    def test_a_fork_does_not_touch_its_parent(self) -> None:
        harness = self.harness()
        (parent, *_) = harness.until("epoch")
        before = fingerprint(parent.state_dict())
        fork = harness.trainer.restore(parent.state_dict())
        harness.run([fork])
        assert fingerprint(parent.state_dict()) == before

    def test_goes_on_in_a_smaller_subspace(self) -> None:
        harness = self.harness()
        branches = harness.until("epoch")
        branch = branches[0]
        row = max(
            range(len(branch.subspace.alive)), key=lambda edge: sum(branch.subspace.alive[edge])
        )
        branch.subspace = branch.subspace.drop(row, branch.subspace.operations(row)[-1])
        for child in harness.run(branches):
            architecture = child.updater.architecture(harness.trainer.probe(child))
            assert branch.subspace.contains(Subspace(architecture.table()))

    def test_scores_are_a_table_or_none_and_change_nothing(self) -> None:
        harness = self.harness()
        for branch in harness.run():
            before = fingerprint(branch.state_dict())
            scores = branch.updater.scores(harness.trainer.probe(branch))
            assert fingerprint(branch.state_dict()) == before
            if scores is not None:
                assert scores.shape == branch.subspace.mask.shape
                assert scores.device.type == "cpu" and not scores.requires_grad
                assert torch.isfinite(scores[branch.subspace.mask]).all()

    def test_a_watched_run_is_the_same_run(self) -> None:
        prints = []
        for watchers in ([], [Diagnostics()]):
            harness = self.harness(watchers=watchers)
            prints.append(fingerprint([branch.state_dict() for branch in harness.run()]))
        assert prints[0] == prints[1]


class SearchSpaceContract:
    """The contract of search spaces. Set `space`, `options` that make it small, and `task`."""

    space: ClassVar[type[SearchSpace]]
    options: ClassVar[Mapping[str, Any]] = {}
    task: ClassVar[Task] = Task(3, 3, 8)

    def made(self) -> SearchSpace:
        """Returns the space with its options."""
        return self.space(self.space.parse_options(self.options))

    def images(self, count: int = 4) -> torch.Tensor:
        """Returns random images that fit the task, count x channels x height x width."""
        rng = torch.Generator().manual_seed(0)
        return torch.randn(count, *self.task.shape, generator=rng)

    def test_declares_itself(self) -> None:
        check_component(self.space)
        space = self.made()
        assert space.edges and len({edge.name for edge in space.edges}) == len(space.edges)
        assert space.why_empty(space.full()) is None

    def test_text_round_trip(self) -> None:
        space, rng = self.made(), torch.Generator().manual_seed(0)
        for _ in range(20):
            architecture = space.sample(space.full(), rng)
            assert space.from_text(space.to_text(architecture)) == architecture
        with pytest.raises(DataError):
            space.from_text("no architecture at all")

    def test_samples_lie_in_the_subspace_and_differ(self) -> None:
        space, rng = self.made(), torch.Generator().manual_seed(0)
        samples = [space.sample(space.full(), rng) for _ in range(20)]
        assert len({sample.id for sample in samples}) > 1
        assert all(space.full().contains(Subspace(sample.table())) for sample in samples)

    def test_decides_by_the_scores_inside_the_subspace(self) -> None:
        space = self.made()
        architecture = space.sample(space.full(), torch.Generator().manual_seed(1))
        chosen = torch.tensor(architecture.table())
        assert space.decide(chosen.double(), space.full()) == architecture
        assert space.decide(torch.rand(chosen.shape), Subspace.of(chosen)) == architecture

    def test_refuses_scores_that_are_not_numbers(self) -> None:
        space = self.made()
        with pytest.raises(Exception, match="not a number"):
            space.decide(torch.full(space.full().mask.shape, torch.nan), space.full())

    def test_an_emptied_edge_table_is_complained_about(self) -> None:
        space = self.made()
        assert space.why_empty(Subspace.of(torch.zeros_like(space.full().mask)))

    def test_supernet_keeps_nothing_of_a_forward_pass(self) -> None:
        space = self.made()
        supernet = space.supernet(self.task)
        before = fingerprint(supernet.state_dict())
        logits = supernet(self.images(), Mixture.uniform(space.full()))
        assert logits.shape == (4, self.task.classes)
        assert torch.isfinite(logits).all()
        assert fingerprint(supernet.state_dict()) == before

    def test_an_inactive_operation_equals_one_of_weight_zero(self) -> None:
        space = self.made()
        supernet = space.supernet(self.task).double()
        full = Mixture.uniform(space.full())
        full = replace(full, weights=full.weights.double())
        for edge, operation in space.full().alive_operations()[
            :: max(len(space.full().alive_operations()) // 8, 1)
        ]:
            skipped = full.without(edge, operation)
            zeroed = replace(skipped, active=full.active)
            logits = []
            for mixture in (skipped, zeroed):
                # The same seed for both, as an operation may draw random numbers.
                torch.manual_seed(0)
                logits.append(supernet(self.images().double(), mixture))
            torch.testing.assert_close(*logits, rtol=1e-10, atol=1e-12)

    def test_measuring_many_mixtures_equals_a_forward_pass_each(self) -> None:
        space = self.made()
        supernet, images = space.supernet(self.task).double(), self.images().double()
        rng, full = torch.Generator().manual_seed(0), space.full()
        rest = [
            Mixture.softmax(torch.randn(full.mask.shape, generator=rng).double(), full)
            for _ in range(4)
        ]
        rest += [rest[0].without_all(full.alive_operations()[:count]) for count in (1, 2)]
        measure = supernet.measuring(images)
        with torch.no_grad():
            while rest:
                batch = rest[: supernet.together(images, rest)]
                rest = rest[len(batch) :]
                torch.manual_seed(0)
                measured = measure(batch)
                torch.manual_seed(0)
                for logits, mixture in zip(measured, batch, strict=True):
                    torch.testing.assert_close(
                        logits, supernet(images, mixture), rtol=1e-10, atol=1e-12
                    )

    def test_gradient_reaches_the_mixture_and_the_weights(self) -> None:
        space = self.made()
        supernet = space.supernet(self.task)
        alpha = torch.zeros(space.full().mask.shape, requires_grad=True)
        supernet(self.images(), Mixture.softmax(alpha, space.full())).square().sum().backward()
        assert alpha.grad is not None
        assert torch.isfinite(alpha.grad).all()
        assert (alpha.grad != 0).any()
        assert all(parameter.grad is not None for parameter in supernet.parameters())

    def test_operations_name_every_edge_and_operation(self) -> None:
        space = self.made()
        named = {(edge, operation) for edge, operation, _ in space.supernet(self.task).operations()}
        assert named == set(space.full().alive_operations())

    def test_network_stands_alone(self) -> None:
        space = self.made()
        architecture = space.sample(space.full(), torch.Generator().manual_seed(0))
        network = space.network(architecture, self.task).eval()
        assert isinstance(network, nn.Module)
        with torch.no_grad():
            assert network(self.images(2)).shape == (2, self.task.classes)

    def test_the_same_torch_seed_gives_the_same_weights(self) -> None:
        prints = []
        for _ in range(2):
            torch.manual_seed(3)
            prints.append(fingerprint(self.made().supernet(self.task).state_dict()))
        assert prints[0] == prints[1]


class EvaluatorContract:
    """The contract of evaluators.

    Set `evaluator` and `options`; `updater` trains the supernet that the evaluator may need.
    """

    evaluator: ClassVar[type[Evaluator]]
    options: ClassVar[Mapping[str, Any]] = {}
    updater: ClassVar[type[ArchitectureUpdater]]

    def test_declares_itself(self) -> None:
        check_component(self.evaluator)

    def test_evaluates_repeatably_and_changes_nothing(self) -> None:
        harness = Harness(self.updater)
        (branch, *_) = harness.until("epoch")
        probe = harness.trainer.probe(branch)
        context = EvaluationContext(harness.space, harness.data.task, harness.splits)
        evaluator = self.evaluator(context, self.evaluator.parse_options(self.options))
        architecture = branch.updater.architecture(probe)
        before = fingerprint(branch.state_dict())
        first = evaluator.evaluate(architecture, probe)
        assert first == evaluator.evaluate(architecture, probe)
        assert first.evaluator == self.evaluator.name
        assert first.metrics and all(value == value for value in first.metrics.values())
        assert fingerprint(branch.state_dict()) == before

    def test_the_forecast_bounds_the_cost(self) -> None:
        harness = Harness(self.updater)
        (branch, *_) = harness.until("epoch")
        ledger = harness.trainer.ledger
        run = RunHandle(ledger.charge)
        context = EvaluationContext(harness.space, harness.data.task, harness.splits, run=run)
        evaluator = self.evaluator(context, self.evaluator.parse_options(self.options))
        if (most := evaluator.max_cost()) is None:
            return
        probe = harness.trainer.probe(branch)
        architecture, before = branch.updater.architecture(probe), ledger.cost().total
        with ledger.phase("evaluate"):
            evaluator.evaluate(architecture, probe)
        spent = ledger.cost().total
        assert spent.images_forward - before.images_forward <= most.images_forward
        assert spent.images_backward - before.images_backward <= most.images_backward


class DataSourceContract:
    """The contract of data sources. Set `source`, and `options` that make it small."""

    source: ClassVar[type[DataSource]]
    options: ClassVar[Mapping[str, Any]] = {}

    def made(self) -> DataSource:
        """Returns the source with its options."""
        return self.source(self.source.parse_options(self.options))

    def test_declares_itself(self) -> None:
        check_component(self.source)

    def test_splits_fit_the_task(self) -> None:
        source = self.made()
        task, splits = source.task, source.splits(0)
        for split in (splits.train, splits.valid, splits.test):
            assert len(split.images) == len(split.labels)
            if len(split):
                assert 0 <= int(split.labels.min()) <= int(split.labels.max()) < task.classes
        batch = stream(splits.train, 4, 0, "train", torch.device("cpu")).at(0)
        assert batch.images.shape[1:] == task.shape
        assert torch.isfinite(batch.images).all()

    def test_what_training_minimises_is_an_option(self) -> None:
        options = {**self.options, "label_smoothing": 0.25}
        source = self.source(self.source.parse_options(options))
        assert source.task_of(source.splits(0)).objective.label_smoothing == 0.25

    def test_the_test_split_does_not_depend_on_the_seed(self) -> None:
        first, second = self.made().splits(0).test, self.made().splits(1).test
        assert torch.equal(first.labels, second.labels)

    def test_the_same_seed_gives_the_same_splits(self) -> None:
        first, second = self.made().splits(5), self.made().splits(5)
        assert torch.equal(first.train.labels, second.train.labels)
        assert torch.equal(first.valid.labels, second.valid.labels)
