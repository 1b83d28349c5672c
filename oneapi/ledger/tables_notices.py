"""Tables of notices: what is still to be sent, and which warnings went out.

    outbox      one row a notice and way (a mail's address, the webhook, the pusher): what it says,
                when it is due, how often it was tried and why that failed; `done_ms` is 0 until it
                is sent or given up (`given_up`); `claimed_by` and `claimed_ms` are the process
                that is sending it
    alerted     thresholds of budgets that were crossed, once a period and limit

Times are Unix milliseconds.
"""

from __future__ import annotations

from sqlite_utils import Database

_OUTBOX: dict[str, type] = {
    "id": int,
    "kind": str,
    "way": str,
    "address": str,
    "facts": str,
    "created_ms": int,
    "due_ms": int,
    "attempts": int,
    "error": str,
    "claimed_by": str,
    "claimed_ms": int,
    "done_ms": int,
    "given_up": int,
}


def create(db: Database) -> None:
    """Within the migration's transaction."""
    db.table("outbox").create(_OUTBOX, pk="id", not_null=_OUTBOX.keys() - {"id"})
    # Of a table that keeps what it sent for a while, only the few waiting rows are ever looked for.
    db.execute("CREATE INDEX outbox_due ON outbox (due_ms) WHERE done_ms = 0")
    db.execute(
        "CREATE TABLE alerted ("
        "scope TEXT NOT NULL, name_id INTEGER NOT NULL, account TEXT NOT NULL,"
        " bucket INTEGER NOT NULL, bound INTEGER NOT NULL, threshold INTEGER NOT NULL,"
        " time_ms INTEGER NOT NULL,"
        " PRIMARY KEY (scope, name_id, account, bucket, bound, threshold)) WITHOUT ROWID"
    )
