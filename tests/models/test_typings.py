"""The types of PyTorch in `typings` name what PyTorch has."""

from __future__ import annotations

import ast
from pathlib import Path

import torch

TYPES = Path(__file__).parents[2] / "typings" / "torch" / "__init__.pyi"


def test_every_name_in_our_types_of_pytorch_is_in_pytorch() -> None:
    defined = [node for node in ast.parse(TYPES.read_text()).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    names = [node.name for node in defined]
    names += [f"{owner.name}.{node.name}" for owner in defined if isinstance(owner, ast.ClassDef) for node in owner.body]  # type: ignore[attr-defined]
    assert {"from_numpy", "Tensor.addmm_"} <= set(names)
    for name in names:
        owner, _, method = name.rpartition(".")
        assert callable(getattr(getattr(torch, owner) if owner else torch, method)), name
