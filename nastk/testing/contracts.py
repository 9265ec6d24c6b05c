"""Contracts of spaces, evaluators and data sources, as tests to inherit.

A plugin's test is four lines:

    class TestMine(SearchSpaceContract):
        space, options = Mine, {"channels": 2}

That of updaters is in `updater_contract.py`. pytest collects the inherited tests. They run on the
toy space, on a CPU, in seconds.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from nastk.base.errors import DataError
from nastk.data.opening import stream
from nastk.data.source import DataSource
from nastk.data.task import Task
from nastk.spaces.mixture import Mixture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Subspace
from nastk.testing.harness import Harness, fingerprint
from nastk.testing.updater_contract import check_component
from nastk.train.evaluator import EvaluationContext, Evaluator, RunHandle
from nastk.train.updater import ArchitectureUpdater


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
