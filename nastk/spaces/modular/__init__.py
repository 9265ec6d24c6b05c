"""A search space out of an ordinary network: its choice layers are marked, the rest is derived.

choice.py     `Choice`, the layer that marks a decision, and how it is told to mix
marked.py     what a network's choices decide together: its edges; and a network with them made
supernet.py   the network as a `Supernet`: norms on batch statistics, a mixture for every call
space.py      `ModularSpace` and `space_of`: the network's class as a `SearchSpace`
"""
