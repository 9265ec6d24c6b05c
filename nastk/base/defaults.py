"""Names of the components that nastk uses by default and in the examples of its messages.

The core depends on no plugin: it refers to a component only by a name in this file. A name that is
not installed is refused or left out, like a name that a user typed. A test checks that no other
module names a component. The file holds strings only, so that the command line can read it before
any library is loaded.
"""

DATA = "digits"
"""The data source of a search without `--data`."""

EVALUATORS = ("supernet", "size")
"""The evaluators of a run for which the user named none; they need nothing but the run."""

LEAF_EVALUATOR = "supernet"
"""The name, in messages, of the accuracy that chooses among leaves if no evaluator was named."""

RANKING_EVALUATOR = "table"
"""The evaluator whose accuracies are the truth for ranking quality."""

COUNTER = "size"
"""The evaluator whose counts rank architectures as a baseline for ranking quality."""

LIMIT_EVALUATORS = {"parameters": "size", "multiply_adds": "size", "latency": "latency"}
"""For each metric: its evaluator, for limits that name none."""

BASELINE = "random"
"""The updater that every study includes."""

SCORED = "candidates"
"""The option of updaters, among them the baseline, that is how many architectures they score."""

INNER_UPDATER = "darts"
"""The inner updater of an updater that wraps another one."""

SPACE_EXAMPLE, UPDATER_EXAMPLE = "darts", "shapley"
"""The space and the updater in the examples of help texts and messages."""

STUDY_SPACE_EXAMPLE = "nasbench201"
"""The space in examples of studies: the accuracy of all its architectures is known."""

DATA_EXAMPLE, DATA_FROM_FOLDER = "cifar10", "folder:PATH"
"""The data sources in examples: a published data set, and a folder of the user's own images."""

STUDY_DATA = "folder"
"""The data source that the presets `study` are for."""

NETWORK_EVALUATORS = ("size", "retrain")
"""Examples of evaluators that need no trained supernet."""

LATENCY_LIMIT_EXAMPLE = "latency=20ms:latency,table=cpu.json"
"""An example of a limit that names its evaluator and an option of the evaluator."""

EXECUTOR_EXAMPLE = "processes,workers=2"
"""The executor of studies in the examples of help texts."""

TRACKER_EXAMPLE = "tensorboard"
"""The tracker in the examples of help texts."""
