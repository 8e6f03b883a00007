"""Whether somebody sits before a screen where a browser could open a page."""

from __future__ import annotations

from collections.abc import Mapping

_WITH_DESKTOP = ("darwin", "win32")
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
_ELSEWHERE = ("CI", "SSH_CONNECTION", "SSH_TTY")


def has_browser(environment: Mapping[str, str], platform: str, *, on_terminal: bool) -> bool:
    """False in CI, in a pipe, over ssh and without a display: there it would open where nobody looks, or a text browser here."""
    if not on_terminal or any(environment.get(name) for name in _ELSEWHERE):
        return False
    return platform in _WITH_DESKTOP or any(environment.get(name) for name in _DISPLAYS)
