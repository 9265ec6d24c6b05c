"""DARTS's second-order step of alpha, in weight steps of the same path; lower is better.

Ours is what the updater `darts` with `order=2` does before a weight step, Adam's step included.
The textbook's figure, with a copied network, stands beside it.
"""

from statistics import median

import torch

from benchmarks import parity
from benchmarks.ours import Ours
from benchmarks.pairing import Pair, copy_weights
from benchmarks.reference.training import optimizer_of, training_step, unrolled_gradient
from benchmarks.timing import interleaved, ratio
from benchmarks.works.setting import Measured, Setting, cpus


def second_order(setting: Setting) -> Measured:
    """The unrolled step on the DARTS supernet."""
    pair = setting.pair("darts", setting.sizes.second_order)
    report, apart = parity.Report(), gradients_apart(pair.small(setting.sizes.parity))
    report.check("second-order gradient, float64", apart, parity.DOUBLE)
    parity.single_logits(report, pair)
    ours, reference = learner(pair), pair.reference()
    copy_weights(ours.branch.supernet, reference)
    stepper = pair.ours()
    stepper.updater.alpha = pair.alpha(0).requires_grad_()
    optimizer, alpha = optimizer_of(reference), pair.alpha(0).requires_grad_()
    ours.step()
    taken = interleaved(
        {
            "reference_weights": lambda run: training_step(
                reference, optimizer, alpha, pair.images(run)
            ),
            "reference_alpha": lambda run: unrolled_gradient(
                reference, optimizer, alpha, pair.images(run), pair.images(run + 1)
            ),
            "our_weights": lambda run: stepper.step(),
            "our_alpha": lambda run: ours.learn(pair.batch(run)),
        },
        setting.runs,
        setting.warm,
    )
    seconds = {name: cpus(runs) for name, runs in taken.items()}
    reference_ratio = ratio(seconds["reference_alpha"], seconds["reference_weights"]).value
    extra = {
        "reference_ratio": reference_ratio,
        **{f"{name}_cpu_seconds": median(each) for name, each in seconds.items()},
        "batch": pair.batch_size,
        "parity": report.errors,
    }
    return Measured(ratio(seconds["our_alpha"], seconds["our_weights"]), extra)


def learner(pair: Pair, dtype: torch.dtype = torch.float32) -> Ours:
    """Ours with the second-order updater."""
    return pair.ours(updater="darts", updater_options={"order": 2}, dtype=dtype)


def gradients_apart(pair: Pair) -> float:
    """How far the two second-order gradients are apart in float64, momentum included."""
    ours, reference = learner(pair, torch.float64), pair.reference().double()
    copy_weights(ours.branch.supernet, reference)
    train, valid = pair.images(0, torch.float64), pair.images(1, torch.float64)
    alpha = ours.updater.alpha
    alpha.data = alpha.data.double()
    expected = alpha.detach().clone().requires_grad_()
    optimizer = optimizer_of(reference)
    theirs = unrolled_gradient(reference, optimizer, expected, train, valid)
    # The probe's validation batch follows its step: 1 is the second of the two batches.
    ours.branch.step = 1
    found = ours.updater.gradient(ours.probe, pair.batch(0, torch.float64))
    return parity.distance([found], [theirs])
