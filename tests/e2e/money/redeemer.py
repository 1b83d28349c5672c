"""A process that redeems codes as a user at a given moment, as fast as it can, and tells how it
went.

    python -m tests.e2e.money.redeemer '{"database": …, "user": …, "codes": […], "at_s": …, …}'
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from oneapi.config.schema import Settings
from oneapi.errors import ApiError
from oneapi.gateway.people import People
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Actor


async def _redeem(people: People, user: str, codes: Sequence[str]) -> list[str]:
    """`redeemed`, or the refusal's code, one for each."""
    found = []
    for code in codes:
        try:
            await people.redeem(Actor(user, "test"), code, user)
            found.append("redeemed")
        except ApiError as error:
            found.append(str(error.code))
    return found


def main() -> None:
    plan = json.loads(sys.argv[1])
    settings = Settings.model_validate(tomllib.loads(plan["toml"]))
    store = SqliteStore(Path(plan["database"]))
    store.open()
    people = People(store, lambda: settings)
    time.sleep(max(0.0, plan["at_s"] - time.time()))
    found = asyncio.run(_redeem(people, plan["user"], plan["codes"]))
    store.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
