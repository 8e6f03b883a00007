"""The commands of `ouzel`. The function ``register`` of each module adds its command to the app.

`serving.cli` calls these functions, runs the chosen command, and turns an error into one line and
an exit code. A command parses its options, calls `streams` or another part of `serving`, and prints
the result.
"""
