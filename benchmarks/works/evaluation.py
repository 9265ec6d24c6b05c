"""An evaluation forward: the loss of one mixture with every operation alive, no gradients.

Norms use the statistics of the batch on both sides, as nastk's supernets always do.
"""

from benchmarks import parity
from benchmarks.reference.measuring import losses
from benchmarks.works.setting import Measured, Setting, compared


def forward(setting: Setting) -> Measured:
    """A forward pass of the DARTS supernet, a fresh mixture in each run."""
    pair = setting.pair("darts", setting.sizes.train)
    report = parity.measuring(pair, setting.sizes.parity, [pair.mixture(0), pair.mixture(1)])
    ours, reference = pair.both()
    measured, _ = compared(
        setting,
        lambda run: losses(reference, [pair.mixture(run).weights], pair.images(run)),
        lambda run: ours.losses([pair.mixture(run)], pair.batch(run)),
    )
    extra = {"batch": pair.batch_size, "parity": report.errors}
    return Measured(measured.ratio, {**measured.extra, **extra})
