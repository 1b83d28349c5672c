"""The stock proxy the gateway is measured against: hypercorn, starlette, httpx as installed.

    python -m tests.bench.stock --upstream http://127.0.0.1:PORT --port N

It forwards `POST …/v1/chat/completions` and streams where it is asked to. It knows no keys, parses
no usage and keeps no books: what a day's work with the same three libraries gives.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import cast

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import Framework
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


def build_app(upstream: str) -> Starlette:
    client = httpx.AsyncClient(limits=httpx.Limits(), timeout=600)  # no limits at all

    async def chat(request: Request) -> Response:
        body = await request.body()
        headers = {name: request.headers[name] for name in ("authorization", "content-type")}
        url = upstream + request.url.path
        call = client.build_request("POST", url, content=body, headers=headers)
        stream = json.loads(body).get("stream", False)
        reply = await client.send(call, stream=stream)
        kind = reply.headers["content-type"]
        if not stream:
            return Response(reply.content, reply.status_code, media_type=kind)
        answer = StreamingResponse(reply.aiter_raw(), reply.status_code, media_type=kind)
        answer.background = BackgroundTask(reply.aclose)
        return answer

    return Starlette(routes=[Route("/{path:path}", chat, methods=["POST"])])


def main() -> None:
    flags = argparse.ArgumentParser(description="A minimal proxy of stock parts.")
    flags.add_argument("--upstream", required=True)
    flags.add_argument("--port", type=int, required=True)
    options = flags.parse_args()
    config = Config()
    config.bind = [f"127.0.0.1:{options.port}"]
    # The defaults (100 and 1,000) would close connections in mid-load: errors to the load.
    config.backlog, config.keep_alive_max_requests = 1024, 1_000_000_000
    # hypercorn and starlette spell the same ASGI types differently.
    asyncio.run(serve(cast(Framework, build_app(options.upstream)), config))


if __name__ == "__main__":
    main()
