"""From a request to a finished run and its folder: what `nastk.search` and its like call.

`api` is what Python programs call. `config` resolves a request, `assembly` makes the parts of a
run, `preflight`, `largest` and `budget` forecast what it takes. `run` carries it out; `continuing`
and `endings` say how it goes on and how it ends, `judging` which evaluators judge it. `folder`,
`stored` and `checkpoint` are its files, `result` is its result. `study` compares many runs.
"""
