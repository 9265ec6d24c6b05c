"""What a task asks of a node: `needs`, as the arguments that `ray.remote` takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from nastk import Workload


def needs(work: Workload, options: Any, cluster: Mapping[str, float]) -> dict[str, Any]:
    """Returns the CPUs, GPUs, memory and other resources of a run, and how often it is retried.

    Args:
        work: the runs.
        options: those of the executor. Where they leave CPUs open, these are the threads of the
            runs' configuration, or one; GPUs are one if the runs compute on CUDA; the memory is
            what a rehearsal here measured, for runs on a CPU.
        cluster: the resources of the whole cluster, by name.
    """
    device = work.jobs[0].cell.config.device
    on_cuda = device.startswith("cuda") or (device == "auto" and cluster.get("GPU", 0) > 0)
    gpus = float(on_cuda) if options.gpus is None else options.gpus
    asked: dict[str, Any] = {
        "num_cpus": options.cpus or work.threads or 1,
        "num_gpus": gpus,
        "resources": dict(options.resources),
        "max_retries": options.retries,
    }
    if options.memory is None and not gpus:
        asked["memory"] = work.memory()
    elif options.memory:
        asked["memory"] = int(options.memory * 2**30)
    return asked


def missing(asked: Mapping[str, Any], nodes: Sequence[Mapping[str, float]]) -> str:
    """Returns a remark where no node has all that a task asks for now; else an empty text.

    `nodes` are the resources of each node that is alive.
    """
    wanted = {
        "CPU": asked["num_cpus"],
        "GPU": asked["num_gpus"],
        "memory": asked.get("memory", 0),
        **asked["resources"],
    }
    wanted = {name: number for name, number in wanted.items() if number}
    if any(all(node.get(name, 0) >= each for name, each in wanted.items()) for node in nodes):
        return ""
    words = ", ".join(f"{name} {number:g}" for name, number in wanted.items())
    return (
        f"No node of the Ray cluster has what a run asks for ({words}), so that runs wait until "
        "one comes. Ask for less with the executor's options cpus, gpus, memory or resources."
    )
