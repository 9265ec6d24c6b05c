"""`random-search`: random architectures, each evaluated once; the best one is taken.

Li and Talwalkar (UAI 2019) show how hard this baseline is to beat at an equal cost.
"""

from nastk import Probe
from nastk_black_box.presets import quick, study
from nastk_black_box.search import BlackBoxOptions, BlackBoxSearch, Proposal


class RandomSearch(BlackBoxSearch):
    """Evaluates random architectures of the space, different ones, and takes the best.

    Example: `nastk.search("nasbench201", nastk.use("random-search", evaluator="table"))`
    """

    name = "random-search"
    summary = "evaluates distinct random architectures and takes the best; no supernet"
    presets = (quick(), *study({"nasbench201": 28, "nasbench-macro": 10}))

    class Options(BlackBoxOptions):
        """What the architectures are evaluated by."""

    def propose(self, probe: Probe) -> Proposal:
        """Called for every evaluation: returns a draw of the space."""
        return Proposal(self.space.sample(probe.subspace, probe.rng))
