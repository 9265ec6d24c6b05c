"""The works: what is measured. `WORKS` has them all by name, with the bounds set for them.

setting.py       what every work is given, what it answers, and the comparison most of them share
training.py      weight steps
evaluation.py    an evaluation forward
removal.py       removal orders of Shapley values
fitness.py       a generation of EvNAS
second_order.py  DARTS's unrolled step
data.py          the data pipeline
memory.py        peak memory of a weight step
"""

from functools import partial

from benchmarks.works.data import pipeline
from benchmarks.works.evaluation import forward
from benchmarks.works.fitness import generation
from benchmarks.works.memory import step_memory
from benchmarks.works.removal import removal_order
from benchmarks.works.second_order import second_order
from benchmarks.works.setting import Work
from benchmarks.works.training import path_step, weight_step

SHAPLEY_NAS = {"partial_channels": 4, "pool_norm": False}
"""The supernet of Shapley-NAS: one channel in four goes through the operations."""

FASTER, STEPS, SHARE = (
    "times as fast",
    "weight steps of the same path",
    "of the reference's memory",
)

WORKS: dict[str, Work] = {
    work.name: work
    for work in (
        Work("darts-train", 1.7, 3.0, FASTER, partial(weight_step, "darts")),
        Work("darts-eval", 2.4, 4.0, FASTER, forward),
        Work("darts-shapley", 4.0, 8.0, FASTER, partial(removal_order, "darts", {})),
        Work("pcdarts-shapley", 4.0, 8.0, FASTER, partial(removal_order, "darts", SHAPLEY_NAS)),
        Work(
            "darts-shapley-frozen",
            5.0,
            10.0,
            FASTER,
            partial(removal_order, "darts", {}, frozen=True),
        ),
        Work("nb201-train", 1.9, 3.0, FASTER, partial(weight_step, "nasbench201")),
        Work("nb201-train-bf16", 3.0, 5.0, FASTER, partial(weight_step, "nasbench201", bf16=True)),
        Work("nb201-path", 1.5, 3.0, FASTER, partial(path_step, "nasbench201")),
        Work("nb201-path-small", 1.5, 3.0, FASTER, partial(path_step, "nasbench201", small=True)),
        Work("macro-path", 1.5, 3.0, FASTER, partial(path_step, "nasbench-macro")),
        Work("nb201-shapley", 3.0, 6.0, FASTER, partial(removal_order, "nasbench201", {})),
        Work(
            "nb201-shapley-bf16",
            4.5,
            10.0,
            FASTER,
            partial(removal_order, "nasbench201", {}, bf16=True),
        ),
        Work("nb201-fitness", 4.0, 10.0, FASTER, generation),
        Work("darts-second-order", 3.5, 3.0, STEPS, second_order, lower_is_better=True),
        Work("data", 6.0, 12.0, FASTER, pipeline),
        Work("darts-memory", 0.65, 0.4, SHARE, step_memory, lower_is_better=True),
    )
}
