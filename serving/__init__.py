"""What people and clients of Ouzel use: the command line, the HTTP API, the page, the demo.

`cli` is the entry of every command; each command is a module of `commands`. `ouzel serve` starts in
`server`, builds its routes in `app` from the operations of `http`, and answers from the memory of
`state`: start reading at `state.service`. `demo` and `evaluation` are behind the commands of those
names.
"""
