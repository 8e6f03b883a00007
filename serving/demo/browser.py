"""Decides whether the demo opens its page in a browser."""

from __future__ import annotations

from collections.abc import Mapping

_WITH_DESKTOP = ("darwin", "win32")
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
_NO_DESKTOP = ("CI", "SSH_CONNECTION", "SSH_TTY")


def has_browser(environment: Mapping[str, str], platform: str, *, on_terminal: bool) -> bool:
    """Tell whether this process runs on a desktop where the user would see a browser window.

    It returns False in CI, in a pipe, over ssh and without a display: nobody would see the window,
    or a text browser would take over the terminal.
    """
    if not on_terminal or any(environment.get(name) for name in _NO_DESKTOP):
        return False
    return platform in _WITH_DESKTOP or any(environment.get(name) for name in _DISPLAYS)
