"""The contract of updaters, as tests to inherit, and what every component must declare.

    class TestMine(UpdaterContract):
        updater, options = Mine, {"samples": 2}

pytest collects the inherited tests. They run on the toy space, on a CPU, in seconds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from nastk.base.component import Component
from nastk.base.errors import ConfigurationError
from nastk.runs import checkpoint
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Subspace
from nastk.testing.harness import Harness, fingerprint
from nastk.testing.toy import ToySpace
from nastk.train.diagnostics import Diagnostics
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

    Set `updater`, and `options` that make it learn within three epochs. For an updater that trains
    no supernet the same is checked between its epochs, as it has no weight steps.
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
        if not self.updater.trains_supernet:
            pytest.skip("it trains no supernet")
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
        if self.updater.trains_supernet:
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
            between = moment == "epoch" and not self.updater.trains_supernet
            if (moment == "step" and taken in (1, 3, 4, 7)) or moment == "end" or between:
                subfolder = folder / f"{moment}-{taken or branches[0].epoch}"
                subfolder.mkdir()
                states = [branch.state_dict() for branch in branches]
                state = checkpoint.Checkpoint(states, harness.trainer.ledger.cost())
                files[subfolder.name] = checkpoint.write(subfolder, state, "1")
        return files

    def test_without_a_supernet_there_are_no_weights_and_no_steps(self) -> None:
        harness = self.harness()
        for branch in harness.run():
            weights = list(branch.supernet.parameters())
            assert bool(weights) == bool(branch.step) == self.updater.trains_supernet

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
