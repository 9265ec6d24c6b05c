"""The gradient of the validation loss with respect to alpha, on which the weights depend too.

Symbols of Liu et al. (ICLR 2019): w the weights, alpha the logits, xi the learning rate of w,
w' = w - xi * grad_w L_train(w, alpha) the weights one step ahead.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Batch, Mixture, Probe
from nastk.train import NamedWeights


def first_order(
    probe: Probe,
    alpha: Float[Tensor, "edges ops"],
    batch: Batch,
    weights: NamedWeights | None = None,
    exact: bool = False,
) -> Float[Tensor, "edges ops"]:
    """Returns grad_alpha L(weights, alpha) on `batch`, weights constant (equation 6, xi = 0).

    It costs one forward and one backward pass of `batch`; `exact` is that of `Probe.logits`.
    """
    loss = probe.loss(Mixture.softmax(alpha, probe.subspace), batch, weights, exact)
    (gradient,) = torch.autograd.grad(loss, alpha)
    return gradient


def second_order(
    probe: Probe,
    alpha: Float[Tensor, "edges ops"],
    train: Batch,
    valid: Batch,
    epsilon: float = 0.01,
    double_precision: bool = False,
) -> Float[Tensor, "edges ops"]:
    """Returns grad_alpha L_valid(w'(alpha), alpha).

    w' is one step of the trainer's optimiser on `train` away from w. The matrix of second
    derivatives is needed only as its product with one vector v, which is a central difference along
    v (equations 7 and 8); `epsilon` is the length of the step along v. It costs three forward and
    backward passes of `train` and one of `valid`. With `double_precision` all of them are computed
    in float64, and only the result is rounded to the precision of `alpha`.
    """
    if double_precision:
        # The look-ahead needs float64 as well as the difference: where rounding moves w' across a
        # kink of the network (a ReLU), the error is in v already.
        wide = alpha.detach().double().requires_grad_()
        weights = {name: weight.double() for name, weight in probe.weights.items()}
        return _unrolled(probe, wide, train, valid, epsilon, weights).to(alpha.dtype)
    return _unrolled(probe, alpha, train, valid, epsilon)


def _unrolled(
    probe: Probe,
    alpha: Float[Tensor, "edges ops"],
    train: Batch,
    valid: Batch,
    epsilon: float,
    weights: NamedWeights | None = None,
) -> Float[Tensor, "edges ops"]:
    """Returns `second_order` in the precision of the supernet, or of `alpha` and `weights`."""
    ahead = _lookahead(probe, alpha, train, weights)
    loss = probe.loss(Mixture.softmax(alpha, probe.subspace), valid, ahead)
    direct, *vector = torch.autograd.grad(loss, [alpha, *ahead.values()], materialize_grads=True)
    # direct is grad_alpha L_valid at w', and `along` is v = grad_w' L_valid.
    along = dict(zip(ahead, vector, strict=True))
    return direct - probe.learning_rate * mixed_derivative(probe, alpha, train, along, epsilon)


def mixed_derivative(
    probe: Probe,
    alpha: Float[Tensor, "edges ops"],
    batch: Batch,
    vector: NamedWeights,
    epsilon: float = 0.01,
) -> Float[Tensor, "edges ops"]:
    """Returns (d/dalpha d/dw L(w, alpha)) times `vector`, by a central difference (equation 8).

    It is in the precision of `vector`, and costs two forward and backward passes of `batch`.
    """
    norm = torch.linalg.vector_norm(
        torch.stack([torch.linalg.vector_norm(part) for part in vector.values()])
    )
    # The floor keeps a vector of zeros from giving 0 * inf.
    scale = epsilon / norm.clamp(min=1e-12)
    weights = probe.weights
    # `exact`: the two gradients are nearly equal, and bf16 would leave only rounding of them.
    plus, minus = (
        first_order(
            probe,
            alpha,
            batch,
            {name: weights[name] + step * part for name, part in vector.items()},
            exact=True,
        )
        for step in (scale, -scale)
    )
    derivative: Tensor = (plus - minus) / (2 * scale)
    return derivative


def _lookahead(
    probe: Probe,
    alpha: Float[Tensor, "edges ops"],
    train: Batch,
    weights: NamedWeights | None,
) -> dict[str, Tensor]:
    """Returns w', the weights one optimiser step ahead, as leaves that need gradients."""
    mixture = Mixture.softmax(alpha.detach(), probe.subspace)
    ahead = probe.lookahead(mixture, train, weights)
    return {name: weight.requires_grad_() for name, weight in ahead.items()}
