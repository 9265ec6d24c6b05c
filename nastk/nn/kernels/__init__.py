"""Faster ways to the same numbers, for what the networks of several spaces are made of.

`depthwise.py` is a depthwise convolution with faster gradients on CPUs, `pointwise.py` a 1x1
convolution as a matrix product, `terms.py` what sums at a node have in common. `reference.py` says
where the plain form is the fast one.
"""
