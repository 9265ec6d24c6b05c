"""A study's runs in several processes of this machine.

executor.py  the executor: who works, and what is heard of it
seats.py     how many processes there are, and with which device and threads
worker.py    what a process does
"""

from nastk import Offer, hookimpl


@hookimpl
def executors() -> list[Offer]:
    """Returns the offer of this plugin's executor."""
    return [
        Offer(
            "processes",
            "several processes of this machine, a run in each",
            "nastk_processes.executor:Processes",
        )
    ]
