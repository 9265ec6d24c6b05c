"""Events of runs that split T times in B parts, as the trainer and `gm` write them."""

from itertools import combinations

from report_kit import DARTS, NB201


def table(size):
    """Distances between `size` operations that are all different: 0.1, 0.11, 0.12, ..."""
    values = {pair: 0.1 + 0.01 * n for n, pair in enumerate(combinations(range(size), 2))}
    return [[values.get((min(a, b), max(a, b)), 0.0) for b in range(size)] for a in range(size)]


def epoch(branch, number, accuracy):
    return {"kind": "epoch-done", "branch": branch, "epoch": number, "accuracy": accuracy}


def report(branch, number, edge, operations, groups, **changes):
    measured = {"edge": edge, "operations": operations, "distances": table(len(operations))}
    values = {
        "epoch": number,
        "edge": edge,
        "groups": groups,
        "value": 1.25,
        "within": False,
        "edges": [measured],
        **changes,
    }
    return {
        "kind": "updater-reported",
        "branch": branch,
        "epoch": number,
        "topic": "split",
        "values": values,
    }


def continued(branch, number, subspaces, fresh=False):
    children = [f"{branch}.{place}" for place in range(len(subspaces))]
    children = children if len(children) > 1 else [branch] * len(children)
    return {
        "kind": "branch-continued",
        "branch": branch,
        "epoch": number,
        "children": children,
        "subspaces": subspaces,
        "fresh": [fresh] * len(children),
    }


def finished(scores):
    best = max(scores, key=scores.get)
    return [
        {
            "kind": "updater-reported",
            "branch": best,
            "topic": "leaves",
            "values": {"valid_accuracy": scores},
        },
        {"kind": "run-finished", "branch": best},
    ]


def divided(operations, parts):
    """`operations` in `parts` groups, one operation after the other."""
    return [list(operations[place::parts]) for place in range(parts)]


def ones(operations, group):
    return "".join("1" if name in group else "0" for name in operations)


def run(times, parts, operations=NB201, end=True, **changes):
    """A run of an epoch before each split and one after the last; edges `cell:0->1`, 0->2, ..."""
    history, alive = [{"kind": "run-started", "branch": "0"}], {"0": ["1" * len(operations)] * 6}
    for number in range(1, times + 1):
        groups, children = divided(operations, parts), {}
        for branch, rows in alive.items():
            history.append(report(branch, number, f"cell:0->{number}", operations, groups))
            history[-1]["values"] |= changes
            history.append(epoch(branch, number, 0.5))
            tables = [
                [*rows[: number - 1], ones(operations, group), *rows[number:]] for group in groups
            ]
            history.append(continued(branch, number, tables, fresh=number == times))
            children |= dict(zip(history[-1]["children"], tables, strict=True))
        alive = children
    history += [epoch(branch, times + 1, 0.25 + n / 100) for n, branch in enumerate(alive)]
    scores = {branch: 0.5 + 0.01 * (n % 3) for n, branch in enumerate(alive)}
    return history + (finished(scores) if end else [])


ARCHITECTURE = {
    "edges": [{"name": f"cell:0->{n}", "operations": list(NB201)} for n in range(1, 7)],
}
MANY = tuple(f"mbconv_{k}x{k}_e{e}" for k in (3, 5, 7, 9) for e in (1, 2, 3, 4))
RUNS = {
    "once": run(1, 2),
    "twice": run(2, 2),
    "three times": run(3, 2),
    "in five": run(1, 5, value=None, edges=[]),
    "in five, measured": run(2, 5),
    "darts": run(2, 2, DARTS),
    "many operations": run(1, 3, MANY),
    "unfinished": run(2, 2, end=False),
}  # fmt: skip

SILENT = [epoch("0", 1, 0.5), continued("0", 1, [["1100", "1111"], ["0011", "1111"]])]
"""A run whose updater reported nothing."""
