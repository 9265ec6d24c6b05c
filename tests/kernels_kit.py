"""What tests of fast forms compare with: `drawn` tensors in float64, and how closely (`EXACT`)."""

import torch

EXACT = {"rtol": 0, "atol": 1e-11}


def drawn(*shape, seed=0, last=True):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    if last and len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    return x.requires_grad_()
