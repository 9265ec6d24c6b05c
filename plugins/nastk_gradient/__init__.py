"""Updaters that learn alpha, a logit for each operation, by gradient descent.

relaxed.py        alpha and its Adam optimiser, shared by these methods (learned.py: for any tensor)
hypergradient.py  the gradient of the validation loss, first and second order
validation.py     the first-order gradient under any mixture, and its cost
darts.py          `darts`: the mixture is the softmax of alpha
snas.py, gdas.py  `snas` and `gdas`: soft and hard Gumbel samples (gumbel.py); undrawn.py computes
                  the gradient of alpha as GDAS's published code does
drnas.py          `drnas`: Dirichlet samples (dirichlet.py)
pcdarts.py        `pcdarts`: the softmax of alpha, and a second softmax over the inputs of a node
proxyless.py      `proxyless`: binary gates on two paths (gates.py)
smooth.py         `smooth`: weights train under perturbed mixtures
darts_pt.py       `darts-pt`: another updater searches, then operations are chosen by the accuracy
                  lost without them (perturbation.py measures, selection.py decides)
published.py      settings that several presets share
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """Returns the offers of this plugin's updaters."""
    return [
        Offer(
            "darts",
            "learns a softmax over operations by gradient descent on validation loss",
            "nastk_gradient.darts:Darts",
        ),
        Offer(
            "snas",
            "learns a distribution over operations from soft Gumbel samples that cool down",
            "nastk_gradient.snas:Snas",
        ),
        Offer(
            "gdas",
            "draws one operation an edge by Gumbel's trick; alpha learns through the draw",
            "nastk_gradient.gdas:Gdas",
        ),
        Offer(
            "drnas",
            "draws mixtures from Dirichlet distributions whose concentrations learn",
            "nastk_gradient.drnas:DrNas",
        ),
        Offer(
            "pcdarts",
            "DARTS with weighted edges, made for partial channels",
            "nastk_gradient.pcdarts:PcDarts",
        ),
        Offer(
            "proxyless",
            "draws one path for the weights and two for alpha, whose binary gates have slopes",
            "nastk_gradient.proxyless:Proxyless",
        ),
        Offer(
            "smooth",
            "DARTS whose weights train under randomly perturbed mixtures (SDARTS-RS)",
            "nastk_gradient.smooth:Smooth",
        ),
        Offer(
            "darts-pt",
            "lets another updater search, then keeps on each edge what accuracy misses most",
            "nastk_gradient.darts_pt:DartsPt",
        ),
    ]
