"""`BuildRequest`: what `nastk table build` was asked for, checked before anything is trained."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nastk import ConfigurationError, SearchSpace, catalogue
from nastk.base import assignments, check_replaceable, named_spec
from nastk.cli import SubjectRequest, at_work, subject_of, waiting
from nastk_tables.building import Building, Progress
from nastk_tables.collecting import collected
from nastk_tables.networks import Selection, listed, sampled, whole
from nastk_tables.places import SUFFIX, default_path
from nastk_tables.storage import read, write
from nastk_tables.table import Table

EVALUATOR = "retrain"
"""The evaluator that trains unless another is named."""


@dataclass(frozen=True)
class BuildRequest:
    """A table that is to be built, as the flags of `nastk table build` say it.

    `space_options` and `data_options` are texts such as `channels=8`. `sample` is the number of
    random networks, `architectures` a file that lists some; without both all are trained. `to` is
    the file of the table; unset: the user's table called as the space.

    Example:
        request = BuildRequest("mine", "digits", evaluator="retrain,epochs=20", to=Path("my.table"))
        building = request.building()
        request.train(building)
        request.written(building).scores("digits", "valid", 20).best()
    """

    space: str
    data: str
    space_options: Sequence[str] = ()
    data_options: Sequence[str] = ()
    evaluator: str = EVALUATOR
    seeds: Sequence[int] = (0,)
    sample: int | None = None
    sample_seed: int = 0
    architectures: Path | None = None
    to: Path | None = None
    device: str | None = None
    quiet: bool = False

    @property
    def out(self) -> Path:
        """The file of the table."""
        return self.to or default_path(self.space)

    @property
    def folder(self) -> Path:
        """The folder of its trainings, beside it."""
        return self.out.with_name(f"{self.out.name.removesuffix(SUFFIX)}.trainings")

    def building(self) -> Building:
        """Returns what is to be trained, after opening the images.

        Raises:
            ConfigurationError: a name or an option is wrong, flags exclude each other, or the
                folder holds other trainings.
            DataError: the images or the architectures cannot be used.
        """
        check_replaceable(self.out)
        use = named_spec(
            self.evaluator,
            f"An evaluator is named as NAME[,OPTION=VALUE...], such as {EVALUATOR},epochs=20",
        )
        selection = self._selection()
        # As JSON an architecture cannot be mistaken for a folder.
        first = json.dumps(selection.networks[0].architecture.to_json())
        subject = SubjectRequest(
            self.space, self.space_options, self.data, self.data_options, self.device
        )
        with waiting("preparing the images", self.quiet):
            building = Building(
                subject_of(first, subject),
                selection,
                use.name,
                use.options,
                self.seeds,
                self.folder,
            )
        building.trainings.check()
        return building

    def train(
        self, building: Building, max_failures: int = 10, retry_failed: bool = False
    ) -> Progress:
        """Returns how far the table is after this process has trained what it could.

        Raises:
            NastkError: more than `max_failures` trainings failed.
            StopRequested: the user asked to stop; what is finished is kept.
        """
        if retry_failed:
            building.retry()
        with at_work(building.subject, self.quiet) as context:
            return building.train(context, max_failures)

    def written(self, building: Building) -> Table:
        """Writes the table of what is trained; returns it as it is read from its file.

        Raises:
            ConfigurationError: nothing is trained yet.
        """
        write(self.out, collected(building))
        return read(self.out)

    def _selection(self) -> Selection:
        """Returns the networks to train."""
        if self.sample is not None and self.architectures is not None:
            raise ConfigurationError(
                "--sample and --architectures both say what is trained. Give one of them."
            )
        component = catalogue().load("space", self.space)
        space: SearchSpace = component(
            component.parse_options(assignments(self.space_options, "-s"))
        )
        if self.architectures is not None:
            return listed(space, self.architectures)
        if self.sample is not None:
            return sampled(space, self.sample, self.sample_seed)
        return whole(space, self.sample_seed)
