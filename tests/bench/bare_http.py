"""The bare starlette handler that `serving.py` compares with.

It answers with the bytes of a file, from memory, in the same server as `ouzel serve`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BODY = Path(sys.argv[2]).read_bytes()


async def handler(request: Request) -> Response:
    """Answer any request with the file."""
    return Response(BODY, media_type="application/json")


if __name__ == "__main__":
    app = Starlette(routes=[Route("/v1/recommendations/{user_id}", handler)])
    uvicorn.run(
        app, port=int(sys.argv[1]), http="httptools", loop="uvloop", ws="none", lifespan="off", access_log=False,
        log_level="warning", server_header=False, timeout_keep_alive=30,
    )  # fmt: skip
