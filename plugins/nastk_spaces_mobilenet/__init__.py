"""Chains of inverted residual blocks, as in MobileNet (Sandler et al. 2018) and ProxylessNAS.

space.py       `MobileNetSpace`: the layers as edges and the methods of a search space
options.py     the options of the space
layouts.py     the published layouts: widths, depths and strides of the stages, by name
skeleton.py    the parts that supernet and network share: the plan of the layers, stem, head
operations.py  the candidates of a layer: inverted residual blocks of several sizes, `skip`
supernet.py    the supernet: every candidate of every layer at once
network.py     the stand-alone network of one architecture
text.py        the text of an architecture: one word per layer
configs.py     configurations of networks that other programs store
published.py   the networks of the papers, as texts

macro.py            `MacroSpace`: NAS-Bench-Macro, a chain whose 6,561 networks were all trained
macro_networks.py   its supernet and its stand-alone network
"""

from nastk import Offer, hookimpl


@hookimpl
def search_spaces() -> list[Offer]:
    """Returns the offers of the MobileNet space and of NAS-Bench-Macro."""
    return [
        Offer(
            "mobilenet",
            "a chain of MobileNet blocks: kernel and expansion of each layer, or to skip it",
            "nastk_spaces_mobilenet.space:MobileNetSpace",
        ),
        Offer(
            "nasbench-macro",
            "NAS-Bench-Macro: a chain of 8 layers, 3 operations each; 6,561 networks",
            "nastk_spaces_mobilenet.macro:MacroSpace",
        ),
    ]
