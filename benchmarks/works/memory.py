"""The peak memory of a weight step of the DARTS supernet, as a share of the reference's.

Growth of resident memory while the step runs, each side in fresh processes of its own: weights,
gradients of earlier steps and the program itself are there before and do not count. Both sides
compute gradients of the mixing weights; `ratio_as_searched` is ours without them.
"""

from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks import parity
from benchmarks.isolated import Job, here, measured
from benchmarks.timing import ratio
from benchmarks.works.setting import Measured, Setting


def step_memory(setting: Setting) -> Measured:
    """The peak of a weight step, ours to the reference's."""
    pair = setting.pair("darts", setting.sizes.memory)
    report = parity.training(pair, setting.sizes.parity)
    options, threads = dict(pair.options), pair.threads
    job = Job("train", "darts", options, pair.side, pair.batch_size, threads=threads)
    jobs = {
        "ours": job,
        "reference": replace(job, action="reference"),
        "as_searched": replace(job, mixing=False),
    }
    measure = measured if setting.isolated else here
    peaks: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(setting.runs):
        for name, each in jobs.items():
            peaks[name].append(max(measure(each)["peak"], 1.0))
    extra: dict[str, Any] = {
        **{f"{name}_peak_mib": median(each) / 2**20 for name, each in peaks.items()},
        "ratio_as_searched": ratio(peaks["as_searched"], peaks["reference"]).value,
        "batch": pair.batch_size,
        "parity": report.errors,
    }
    return Measured(ratio(peaks["ours"], peaks["reference"]), extra)
