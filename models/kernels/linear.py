"""Matrix products through PyTorch's BLAS, on numpy arrays, into arrays that are there already.

numpy's own BLAS slows down on the tall, narrow products that we have, and takes every core, whatever PyTorch was told.
"""

from __future__ import annotations

import torch

from models.kernels.numerics import Floats


def multiply(a: Floats, b: Floats, out: Floats) -> Floats:
    """out = a @ b, of matrices."""
    torch.mm(torch.from_numpy(a), torch.from_numpy(b), out=torch.from_numpy(out))
    return out


def add_product(a: Floats, b: Floats, out: Floats) -> Floats:
    """out += a @ b, of a matrix and a matrix or a vector."""
    into = torch.from_numpy(out)
    if b.ndim == 1:
        into.addmv_(torch.from_numpy(a), torch.from_numpy(b))
    else:
        into.addmm_(torch.from_numpy(a), torch.from_numpy(b))
    return out
