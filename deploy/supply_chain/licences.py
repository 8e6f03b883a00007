"""Lists the licence of every package that Ouzel needs at run time, and fails if one is not allowed.

`make licences` runs it. A package declares its licence as an SPDX expression or, if it is older, by
a classifier or a free text. Packages that this system does not need, such as the GPU libraries
beside a CPU build of PyTorch, are listed by what is known of them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any, Protocol

from deploy.supply_chain.lock import GPU, read
from serving.terminal import say

ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "MIT",
    "PSF-2.0", "Zlib",
})  # fmt: skip
"""Licences that ask for no more than notices."""

OTHER_NAMES = {
    "Apache 2": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}
"""SPDX names of classifiers. The packages with "BSD License" have the text with three clauses."""

KNOWN = {
    "cuda-bindings": "Apache-2.0",
    "cuda-pathfinder": "Apache-2.0",
    "triton": "MIT",
    "venusian": "LicenseRef-Repoze",
}
"""Licences, read by hand, of packages that need not be here or declare none by an SPDX name."""

NVIDIA = "LicenseRef-NVIDIA-Proprietary"
"""NVIDIA's own terms, for the other GPU libraries. docs/operations.md says how to do without."""

EXCEPTIONS = {"LicenseRef-Repoze", NVIDIA}
"""Allowed for those that have them now. Repoze's is a BSD licence with one more clause."""

PARTS = re.compile(r"[()]|\b(?:AND|OR)\b")


class Declared(Protocol):
    """The metadata of a package."""

    def get_all(self, name: str, /) -> list[Any] | None: ...


def declared(package: Declared) -> str:
    """The SPDX expression for what a package declares; its own words if they are no known name."""
    for expression in package.get_all("License-Expression") or ():
        return str(expression)
    classifiers = [text.rpartition(" :: ")[2] for text in package.get_all("Classifier") or () if text.startswith("License ::")]
    text = "".join(package.get_all("License") or ()).strip() or "no licence"
    names = classifiers or [text.splitlines()[0]]
    return " OR ".join(OTHER_NAMES.get(name, name) for name in names)


def licence(name: str) -> str:
    """The licence of a package, by its name. Raises `PackageNotFoundError`."""
    if name in KNOWN:
        return KNOWN[name]
    if GPU.match(name):
        return NVIDIA
    return declared(metadata(name))


def allowed(name: str, expression: str) -> bool:
    """Tell whether Ouzel may depend on a package: each licence that it names must be allowed."""
    if expression in EXCEPTIONS:
        return name in KNOWN or GPU.match(name) is not None
    return all(part.strip() in ALLOWED for part in PARTS.split(expression) if part.strip())


def needed() -> list[str]:
    """The names of the packages that Ouzel needs at run time, also those of a build for GPUs."""
    return sorted({*read("runtime"), *read("gpu")})


def check(names: Iterable[str]) -> list[str]:
    """Print the licence of each package. Return a line for each that is not allowed."""
    refused = []
    for name in names:
        try:
            expression = licence(name)
        except PackageNotFoundError:
            refused.append(f"{name}: not installed, so its licence is unknown; run make setup")
            continue
        say(f"{name}: {expression}")
        if not allowed(name, expression):
            refused.append(f"{name}: {expression} is not allowed; allowed are {', '.join(sorted(ALLOWED))}")
    return refused


def main() -> int:
    refused = check(needed())
    for line in refused:
        say(line, err=True)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
