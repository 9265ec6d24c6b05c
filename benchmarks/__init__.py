"""nastk against a textbook supernet: time, memory and growth, measured side by side.

    python -m benchmarks                          every work, as a table
    python -m benchmarks darts-train data --json  two of them, one JSON object a row
    python -m benchmarks grow                     how our cost grows with each size

reference/   the textbook: every operation on its own, plain loops, nothing clever
ours.py      nastk as a search runs it, through its public interfaces
pairing.py   both with the same weights, mixtures and batches
parity.py    the same numbers on both sides, or no ratio
timing.py    reference and ours in turn in one process; medians, ratios and their range
memory.py    the most memory that something takes (`isolated.py`: in a fresh process)
works/       what is measured: one function a work, and the table of all of them
rows.py      a row of the result, as JSON or in a table
growth.py    `grow`
__main__.py  the command line

Nothing here is part of the wheel. `docs/benchmarks.md` says what each figure means.
"""

import os

# Threads that wait for each other in a loop burn CPU seconds, the more the busier the machine is.
# It has to be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
