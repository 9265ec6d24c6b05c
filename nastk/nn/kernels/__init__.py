"""Faster implementations of operations that the networks of several spaces use, for CPUs.

`depthwise.py` is a depthwise convolution with faster gradients, `pointwise.py` a 1x1 convolution as
a matrix product, `batch_norm.py` a norm of many positions, and `terms.py` has helpers for the sums
at nodes of cells. `reference.py` decides when torch's own form is used instead.
"""
