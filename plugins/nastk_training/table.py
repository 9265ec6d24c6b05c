"""The table of a training in the terminal: a row for each seed, and their mean ± deviation."""

from collections.abc import Sequence

from rich.table import Table

from nastk import TrainedModel
from nastk.report import percent
from nastk_training.trainings import ACCURACIES, spreads


def table(models: Sequence[TrainedModel]) -> Table:
    """Returns the table; accuracies that were not measured are left out."""
    measured = spreads(models)
    names = [name for name in ACCURACIES if name in measured]
    found = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    found.add_column("seed")
    for name in (*names, "train_loss", "epochs", "parameters"):
        found.add_column(name.replace("_", " "), justify="right")
    for model in models:
        accuracies = [percent(getattr(model, name)) for name in names]
        loss = "-" if model.train_loss is None else f"{model.train_loss:.4f}"
        found.add_row(
            str(model.seed), *accuracies, loss, str(model.epochs), f"{model.parameters:,}"
        )
    if len(models) > 1:
        means = [
            f"{percent(measured[name]['mean'])} ± {100 * measured[name]['std']:.2f}"
            for name in names
        ]
        found.add_row("mean", *means, "", "", "", style="bold")
    return found
