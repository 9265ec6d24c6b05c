"""The textbook: what the papers describe, written down as plainly as possible.

Every operation of every edge is a module of its own with its own ReLU, pooling and norm, and a
mixed edge is `sum(weight * operation(x))`. A removed operation has the weight zero and is computed
all the same. Tensors are NCHW and float32; norms are torch's own, with running statistics.

operations.py   the operations of both spaces, and a mixed edge
darts.py        the supernet of the DARTS space
nasbench201.py  the supernet of NAS-Bench-201
training.py     a training step, and DARTS's second-order gradient
measuring.py    losses of many mixtures, one forward pass each
pipeline.py     images through PIL transforms and a DataLoader
"""
