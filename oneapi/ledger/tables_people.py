"""Tables of people: registered users, their book, their tokens, redemption codes, the trail.

people        registered users; `id` is the name's in `names`, as everywhere
entries       the book: every change of money; rows are never changed
issued        tokens issued at run time, and `issued_keys` the hashes that open them
code_batches  redemption codes: batches, `codes` their hashes, `redemptions` who used them
invite_codes  each user's own code for inviting others
audit         who managed what, from where; rows are never changed
roster_log    users whose tokens or facts changed, for processes that keep them in memory
"""

from __future__ import annotations

from sqlite_utils import Database

_TABLES: dict[str, dict[str, type]] = {
    "people": {
        "id": int,
        "user_group": str,
        "role": str,
        "display_name": str,
        "email": str,
        "email_verified": int,
        "email_mark": bytes,
        "name_mark": bytes,
        "password": str,
        "enabled": int,
        "created_ms": int,
        "adopted_ms": int,
        "deleted_ms": int,
        "last_name_id": int,
        "invited_by": int,
        "invitation": str,
    },
    "entries": {
        "id": int,
        "user_id": int,
        "kind": str,
        "amount_nanousd": int,
        "reason": str,
        "actor_id": int,
        "origin": str,
        "time_ms": int,
        "transaction_id": str,
    },
    "issued": {
        "id": int,
        "user_id": int,
        "token_id": int,
        "name": str,
        "policy": str,
        "models": str,
        "subnets": str,
        "quota_nanousd": int,
        "expires_ms": int,
        "enabled": int,
        "created_ms": int,
        "revoked_ms": int,
    },
    "issued_keys": {
        "hash": bytes,
        "issued_id": int,
        "hint": str,
        "created_ms": int,
        "until_ms": int,
    },
    "code_batches": {
        "id": int,
        "name": str,
        "value_nanousd": int,
        "uses": int,
        "expires_ms": int,
        "enabled": int,
        "created_ms": int,
        "actor_id": int,
    },
    "codes": {
        "id": int,
        "batch_id": int,
        "hash": bytes,
        "hint": str,
        "enabled": int,
        "used": int,
    },
    "redemptions": {
        "id": int,
        "code_id": int,
        "user_id": int,
        "entry_id": int,
        "time_ms": int,
    },
    "invite_codes": {"user_id": int, "code": str},
    "audit": {
        "id": int,
        "time_ms": int,
        "actor_id": int,
        "origin": str,
        "action": str,
        "user_id": int,
        "token_id": int,
        "subject": str,
        "before": str,
        "after": str,
    },
    "roster_log": {"seq": int, "user_id": int},
}
_KEYS = {"issued_keys": "hash", "invite_codes": "user_id", "roster_log": "seq"}
_NULLABLE = {
    "people": {"email", "email_mark", "name_mark", "password", "invited_by"},
    "entries": {"actor_id", "transaction_id"},
    "issued": {"models", "quota_nanousd"},
    "code_batches": {"actor_id"},
    "audit": {"actor_id", "user_id", "token_id"},
}
_INDEXES = (
    ("entries", ("transaction_id",), True),
    ("entries", ("user_id",), False),
    ("issued", ("user_id", "name"), True),
    ("issued", ("token_id",), True),
    ("issued_keys", ("issued_id",), False),
    ("code_batches", ("name",), True),
    ("codes", ("hash",), True),
    ("codes", ("batch_id",), False),
    ("redemptions", ("code_id", "user_id"), True),
    ("redemptions", ("user_id",), False),
    ("invite_codes", ("code",), True),
    ("people", ("email_mark",), False),
    ("people", ("invited_by",), False),
    ("audit", ("user_id",), False),
)
_APPEND_ONLY = ("entries", "redemptions", "audit")
_OF_ROSTER = {
    "people": "SELECT {row}.id",
    "issued": "SELECT {row}.user_id",
    "issued_keys": "SELECT user_id FROM issued WHERE id = {row}.issued_id",
}
"""Tables whose changes a process with tokens in memory must hear of, and the user concerned."""


def create(db: Database) -> None:
    """Within the migration's transaction."""
    for name, columns in _TABLES.items():
        key = _KEYS.get(name, "id")
        required = columns.keys() - _NULLABLE.get(name, set()) - {key}
        db.table(name).create(columns, pk=key, not_null=required)
    for name, indexed, unique in _INDEXES:
        db.table(name).create_index(list(indexed), unique=unique)
    # An address that is only claimed reserves nothing (D15).
    db.execute("CREATE UNIQUE INDEX people_email ON people (email) WHERE email_verified = 1")
    db.execute("CREATE INDEX people_pending ON people (id) WHERE invitation = 'pending'")
    # `was` joins names (ledger/names.py): all of a user's are looked up by the one they go under.
    db.execute("CREATE INDEX names_same_as ON names (same_as) WHERE same_as IS NOT NULL")
    for name in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            db.execute(
                f"CREATE TRIGGER {name}_no_{change.lower()} BEFORE {change} ON {name}"
                f" BEGIN SELECT RAISE(ABORT, '{name}: rows are never changed'); END"
            )
    for name, user in _OF_ROSTER.items():
        for change, row in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
            db.execute(
                f"CREATE TRIGGER {name}_roster_{change.lower()} AFTER {change} ON {name}"
                f" BEGIN INSERT INTO roster_log (user_id) {user.format(row=row)}; END"
            )
