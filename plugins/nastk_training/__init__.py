"""Training the network of an architecture: `nastk train`, and the evaluator `retrain`.

recipe.py        the options of a training; `presets.py` has those of papers
setup.py         images, device and networks of a training; `joined.py` joins train and valid
training.py      one network in training, which can be paused; `rates.py` has its learning rates,
                 `treatment.py` what is done to its batches
command_line.py  the command `nastk train`; `trainings.py` trains all seeds, `seed.py` one of them,
                 `checkpoint.py` stores it, `beginning.py` knows other weights to begin with,
                 `following.py` tells trackers of it,
                 `forecast.py` says what it costs, `table.py` shows it
retrain.py       the evaluator; `halving.py` compares several, `keeping.py` writes weights to a file
"""

from typing import TYPE_CHECKING

from nastk import Offer, hookimpl

if TYPE_CHECKING:
    import typer


@hookimpl
def evaluators() -> list[Offer]:
    """Returns the offer of this plugin's evaluator."""
    return [
        Offer(
            "retrain",
            "accuracy of the stand-alone network, trained from scratch",
            "nastk_training.retrain:Retrain",
        ),
    ]


@hookimpl
def commands(app: "typer.Typer") -> None:
    """Adds the command `nastk train`."""
    from nastk_training.command_line import add_to

    add_to(app)
