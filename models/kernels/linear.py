"""Matrix products of numpy arrays by PyTorch's BLAS, written into existing arrays.

numpy's own BLAS is slow on the tall, narrow products of this model, and it uses every core whatever
number of threads PyTorch is set to.
"""

from __future__ import annotations

import torch

from models.kernels.numerics import Floats


def multiply(a: Floats, b: Floats, out: Floats) -> Floats:
    """out = a @ b of two matrices; returns ``out``."""
    torch.mm(torch.from_numpy(a), torch.from_numpy(b), out=torch.from_numpy(out))
    return out


def add_product(a: Floats, b: Floats, out: Floats) -> Floats:
    """out += a @ b of a matrix and a matrix or vector; returns ``out``."""
    into = torch.from_numpy(out)
    if b.ndim == 1:
        into.addmv_(torch.from_numpy(a), torch.from_numpy(b))
    else:
        into.addmm_(torch.from_numpy(a), torch.from_numpy(b))
    return out
