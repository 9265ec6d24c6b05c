"""Training the network of an architecture: the evaluator `retrain`, and the code that trains.

recipe.py    the options of a training; `presets.py` has those of papers, `rates.py` learning rates
training.py  one network in training, which can be paused
retrain.py   the evaluator; `halving.py` compares several, `joined.py` joins train and valid,
             `keeping.py` writes weights to a file
"""

from nastk import Offer, hookimpl


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
