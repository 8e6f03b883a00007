"""The commands of `ouzel`, one module each, with a function ``register`` that adds them to the app.

`serving.cli` is where they start: it builds the app, and turns errors into one line and an exit
code. A command parses its options, calls `streams` or another part of `serving`, and prints the
result.
"""
