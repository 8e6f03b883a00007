"""Sources of events besides live users. Start with `replay`, which reads recorded files.

`history` makes transitions of those files, for evaluation. `simulator` is a synthetic shop.
"""
