"""Writes the list of what Ouzel needs at run time (an SBOM) as CycloneDX JSON.

`make dist` runs it in the environment of the tools, after `make licences` has written licences.txt.
The list comes from requirements/, not from this machine, so it is the same wherever it is made: it
has the GPU libraries that only some builds of PyTorch need, the hashes of the files for all
systems, and no time and no serial number.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.supply_chain.lock import ROOT, read
from streams.child_command import module_command

NAME = re.compile(r"[A-Za-z0-9._-]+")
SPEC = SchemaVersion.V1_6


class InvalidSbom(ValueError):
    """The list does not conform to the schema of CycloneDX."""


def generated() -> dict[str, Any]:
    """What cyclonedx-py writes of the requirements."""
    requirements = "".join(block + "\n" for name in ("runtime", "gpu") for block in read(name).values())
    command = module_command(
        "cyclonedx_py", "requirements", "--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--no-validate",
        "--short-PURLs", "--spec-version", SPEC.to_version(), "-",
    )  # fmt: skip
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, input=requirements, capture_output=True, text=True, check=True, env=quiet)
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def direct() -> set[str]:
    """The names of the packages that pyproject.toml names for run time."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {match[0].lower() for text in project["dependencies"] if (match := NAME.match(text))}


def sbom(licences: Iterable[str]) -> dict[str, Any]:
    """The list. ``licences`` has the lines that `make licences` prints."""
    expressions = dict(line.split(": ", 1) for line in licences)
    content = generated()
    root = content["metadata"]["component"]["bom-ref"]
    for component in content["components"]:
        del component["description"]  # the lines of the file again
        component["bom-ref"] = component["purl"]
        component["licenses"] = [{"expression": expressions[component["name"]], "acknowledgement": "declared"}]
    content["components"].sort(key=lambda component: str(component["purl"]))
    refs = {component["name"]: component["purl"] for component in content["components"]}
    content["dependencies"] = [
        {"ref": root, "dependsOn": sorted(refs[name] for name in direct())}, *({"ref": ref} for ref in sorted(refs.values()))
    ]  # fmt: skip
    return content


def validate(content: dict[str, Any]) -> None:
    """Compare a list with the schema of CycloneDX. Takes 10 s. Raises `InvalidSbom`."""
    error = JsonStrictValidator(SPEC).validate_str(json.dumps(content))
    if error is not None:
        raise InvalidSbom(repr(error))


def main(folder: Path) -> None:
    content = sbom((folder / "licences.txt").read_text().splitlines())
    validate(content)
    version = content["metadata"]["component"]["version"]
    (folder / f"ouzel-{version}.cdx.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
