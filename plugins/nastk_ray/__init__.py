"""A study's runs as tasks of a Ray cluster.

executor.py  the executor
needs.py     what a task asks of a node
task.py      what a task does
"""

from nastk import Offer, hookimpl


@hookimpl
def executors() -> list[Offer]:
    """Returns the offer of this plugin's executor."""
    return [Offer("ray", "tasks of a Ray cluster, a run in each", "nastk_ray.executor:Ray")]
