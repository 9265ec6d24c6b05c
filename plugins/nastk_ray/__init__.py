"""A study's runs as tasks of a Ray cluster.

executor.py  the executor
needs.py     what a task asks of a node
reports.py   how reports of a task come to the study
task.py      what a task does
"""

from nastk import Offer, hookimpl


@hookimpl
def executors() -> list[Offer]:
    """Returns the offer of this plugin's executor."""
    return [Offer("ray", "tasks of a Ray cluster, a run in each", "nastk_ray.executor:Ray")]
