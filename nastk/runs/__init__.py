"""Runs, from a request to the finished run folder: the code behind `nastk.search`.

`api` holds the functions for Python programs. `config` resolves a request, `assembly` makes the
parts of a run, `preflight`, `peak` and `budget` forecast its cost. `run` carries it out;
`continuing` checks a run before it is resumed, `endings` words how it ends, `evaluating` resolves
evaluators. `folder`, `stored` and `checkpoint` read and write its files, `result` holds its result.
`study` compares many runs.
"""
