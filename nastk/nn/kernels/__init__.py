"""Faster ways to the same numbers, for the few things that supernets spend their time on.

`depthwise.py` is a depthwise convolution with faster gradients on CPUs, `mixing.py` the weighted
sum of normalised operations at a node in one pass over memory. Both hold their plain form beside
them, which other devices and precisions take, and which the tests compare with.
"""
