"""Names of components that nastk uses where nobody names one, and in examples of its messages.

The core knows no plugin: what it calls by name, it calls by a name of this file, and a name that is
not installed is refused or left out as one that a user wrote. A test holds that no other module
names a component. Only strings, so that the command line may read it before anything is loaded.
"""

DATA = "digits"
"""The images of a search without `--data`."""

EVALUATORS = ("supernet", "size")
"""Who evaluates where nobody was named: they need nothing but the run."""

LEAF_EVALUATOR = "supernet"
"""What messages call the accuracy that chooses among leaves where no evaluator was named."""

RANKING_EVALUATOR = "table"
"""Whose accuracies are the truth that ranking quality is measured against."""

COUNTER = "size"
"""Whose counts rank architectures beside a search, knowing nothing of it."""

LIMIT_EVALUATORS = {"parameters": "size", "multiply_adds": "size", "latency": "latency"}
"""The evaluator that knows a metric, for limits that name none."""

BASELINE = "random"
"""The updater that every study includes."""

INNER_UPDATER = "darts"
"""The updater inside of one that wraps another."""

SPACE_EXAMPLE, UPDATER_EXAMPLE = "darts", "shapley"
"""What to search, in help and messages."""

STUDY_SPACE_EXAMPLE = "nasbench201"
"""A space whose architectures are all known, as studies like it."""

DATA_EXAMPLE, DATA_FROM_FOLDER = "cifar10", "folder:PATH"
"""Images by name, and images of one's own."""

NETWORK_EVALUATORS = ("size", "retrain")
"""Examples of evaluators that need no trained supernet."""

LATENCY_LIMIT_EXAMPLE = "latency=20ms:latency,table=cpu.json"
"""A limit that names its evaluator and an option of it."""
