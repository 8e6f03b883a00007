"""The HTTP part of `ouzel serve`: requests, keys, errors, and the description of the API.

Start reading at `operations`, which declares what an operation is; the operations themselves are in
`routes`. What they answer from is in `serving.state`, which knows nothing of HTTP.
"""
