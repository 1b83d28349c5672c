"""Is it alive, is it ready, what does it count: `/readyz`, `/metrics`, `/api/status`.

Strangers learn whether it is ready and nothing else (D42); details need an admin's token or
`admin.metrics_token`.
"""

from __future__ import annotations

import hmac
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from oneapi import __version__
from oneapi.errors import ApiError
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.identify import credential, identify
from oneapi.web.exchange import Exchange
from oneapi.web.metrics import CONTENT_TYPE, exposition


class Status:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def ready(self, request: Request) -> Response:
        """200 while it takes requests, 503 while it drains or cannot write its ledger."""
        gateway = self._gateway
        ledger = gateway.store.health()
        ok = not gateway.draining and ledger is None
        body: dict[str, object] = {"ready": ok}
        if self._may_look(request):
            rejected = gateway.loading.error
            body |= {
                "revision": gateway.snapshot.revision,
                "since_ms": gateway.snapshot.built_ms,
                "ledger": ledger or "ok",
                "draining": gateway.draining,
                "rejected": [str(p) for p in rejected.problems] if rejected else [],
                "rejected_ms": gateway.loading.failed_ms if rejected else 0,
            }
        return JSONResponse(body, status_code=200 if ok else 503)

    async def metrics(self, request: Request) -> Response:
        if not self._may_look(request):
            words = "metrics need an admin's key or `admin.metrics_token`"
            raise ApiError(401, words, code="metrics_token_needed", kind="authentication_error")
        return PlainTextResponse(exposition(self._gateway), media_type=CONTENT_TYPE)

    async def api_status(self, request: Request) -> Response:
        """The original's shape, as far as it has a meaning here; health checks look for
        `success`.
        """
        data = {
            "version": __version__,
            "start_time": self._gateway.started_ms // 1000,
            "system_name": "One API",
            "quota_per_unit": 500_000,
            "display_in_currency": True,
        }
        return JSONResponse({"success": True, "message": "", "data": data})

    def _may_look(self, request: Request) -> bool:
        exchange: Exchange = request.scope["exchange"]
        presented = credential(exchange.headers)
        token = exchange.snapshot.settings.admin.metrics_token
        if not presented:
            return False
        if token and hmac.compare_digest(presented.encode(), token.encode()):
            return True
        try:
            identity = identify(
                exchange.snapshot,
                self._gateway.state,
                exchange.headers,
                exchange.peer,
                endpoint="models",
                now_ms=time.time_ns() // 1_000_000,
                presented=presented,
            )
        except ApiError:
            return False
        return identity.caller.admin
