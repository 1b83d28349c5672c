"""HTTP: ASGI in, the gateway behind it. The hot path is raw ASGI; all else is starlette's."""
