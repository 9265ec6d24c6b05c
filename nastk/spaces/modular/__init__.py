"""Search spaces made from ordinary networks whose undecided layers are marked with `Choice`.

choice.py     `Choice`, the layer that marks a decision, and the terms that it computes
marked.py     the edges of a network with choices, and the network after the choices are made
supernet.py   the network as a `Supernet`: norms on batch statistics, a mixture for every call
space.py      `ModularSpace` and `space_of`: the network's class as a `SearchSpace`
"""
