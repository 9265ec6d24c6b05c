"""Limits on size and time that any updater keeps: `--limit params=4M`.

options.py     what is limited, how it is written, and which evaluator knows the metric
structure.py   what a space's rule lets be chosen, found out by asking it to decide
additive.py    what each operation adds to a metric, from the values of a few architectures
meter.py       one limit with the evaluator that knows its metric
choice.py      the best decision within the limits
space.py       `Limited`: a space that decides and draws within them
kept.py        the check after every epoch, and what a run's result says of its limits

An updater meets its limits in `space.decide`, `space.sample` and `space.complaint`, and knows
nothing else of them.
"""
