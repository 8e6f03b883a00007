"""Writes docs/settings.md, the reference of settings, from the code. `make settings` runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from streams.configuration.fields import Subject, about, allowed, variable
from streams.settings import Settings

FILE = Path("docs/settings.md")
NOT_SET = "not set"
HEAD = """# Settings

`make settings` writes this page from the code; do not edit it. `ouzel config` prints the value of
each setting, where the value comes from, and what the setting means.

The environment variable of a setting comes first, then the TOML file that `OUZEL_CONFIG` names,
then the default. In the file, names have no `OUZEL_` and are in lower case: `partitions = 8`.
Objects and lists are JSON in the environment, and TOML in the file. A wrong or unknown setting ends
the command with exit code 2 and a line that says what to correct.

**Read by** names the processes that use a setting: `ouzel worker`, `ouzel serve`, `ouzel intake`,
and *tools*, the other commands. Give all processes the same values. Only these differ between
workers: `OUZEL_DATA_DIR`, `OUZEL_INSTANCE_ID` and, if processes share a machine,
`OUZEL_METRICS_PORT`.

**Change** says how to change a setting of a running deployment:

- *one by one*: restart one process after the other. Until all are restarted, values may differ.
- *all together*: stop all processes, change the value, start them. After a change of the model,
  snapshots that were written with another value are not used: the model learns again from the
  transitions in Kafka.
- *never*: topics, offsets or hashes that are already stored depend on it. Use another value only
  for a new deployment ([operations.md](operations.md#choose-the-number-of-partitions)).

`OUZEL_TEST_DATA` is not a setting. It names the folder in which `demo`, `replay`, `train` and
`evaluate` look for data sets by name.
"""


def by_subject() -> Mapping[Subject, Mapping[str, FieldInfo]]:
    """Return the settings of each subject, the most used first."""
    fields = Settings.model_fields
    return {subject: {name: field for name, field in fields.items() if about(field).subject is subject} for subject in Subject}


def written(value: Any) -> str:
    """Write a value as in the environment. A secret is masked; `None` is written as "not set"."""
    if value is None:
        return NOT_SET
    if isinstance(value, SecretStr):
        return "******"
    if isinstance(value, bool | dict | list):
        return json.dumps(value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def table(fields: Mapping[str, FieldInfo]) -> str:
    """Write the settings of a subject as a Markdown table."""
    lines = ["| variable | meaning | values | default | read by | change |", "|---|---|---|---|---|---|"]
    for name, field in fields.items():
        declared = about(field)
        cells = [
            f"`{variable(name)}`",
            str(field.description),
            allowed(name, field),
            NOT_SET if field.default is None else f"`{written(field.default)}`",
            ", ".join(declared.read_by),
            declared.change,
        ]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Write the whole page."""
    return "\n".join([HEAD, *(part for subject, fields in by_subject().items() for part in (f"## {subject}\n", table(fields)))])


def main(file: Path = FILE) -> None:
    """Write the page to a file."""
    file.write_text(reference())


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
