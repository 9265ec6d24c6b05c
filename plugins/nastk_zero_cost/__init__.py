"""Zero-cost scores: evaluators that judge a network by one look at it before it is trained.

evaluator.py   what they share: weights at initialisation, images of the train split, cost
synflow.py     `synflow`, the flow through the absolute weights
gradients.py   `gradient-norm` and `snip`, from the gradient of one batch
zico.py        `zico`, from the gradients of several batches
jacobian.py    `jacobian-covariance`, how alike the logits respond to different images
naswot.py      `naswot`, how alike the ReLUs answer to different images; `relus.py` records them
"""

from nastk import Offer, hookimpl


@hookimpl
def evaluators() -> list[Offer]:
    """Returns the offers of this plugin's evaluators."""
    return [
        Offer(
            "synflow",
            "flow through the absolute weights of the untrained network",
            "nastk_zero_cost.synflow:Synflow",
        ),
        Offer(
            "gradient-norm",
            "length of the untrained network's gradient on one batch",
            "nastk_zero_cost.gradients:GradientNorm",
        ),
        Offer(
            "snip",
            "how much the loss of the untrained network depends on its weights",
            "nastk_zero_cost.gradients:Snip",
        ),
        Offer(
            "zico",
            "how steady the untrained network's gradients are from batch to batch",
            "nastk_zero_cost.zico:Zico",
        ),
        Offer(
            "jacobian-covariance",
            "how differently the untrained network responds to different images",
            "nastk_zero_cost.jacobian:JacobianCovariance",
        ),
        Offer(
            "naswot",
            "how well the ReLUs of the untrained network tell images apart",
            "nastk_zero_cost.naswot:Naswot",
        ),
    ]
