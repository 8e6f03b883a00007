"""Faust's table manager, with our recovery."""

from __future__ import annotations

from typing import cast

from faust.tables.manager import TableManager as FaustTableManager

from streams.engine.recovery import Recovery


class TableManager(FaustTableManager):
    """Makes our `Recovery`."""

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast(Recovery, self._recovery)
