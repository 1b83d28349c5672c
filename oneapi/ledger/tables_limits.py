"""Tables of budgets: sums, what processes have leased of them, and which processes there are.

    processes   who writes: each holds a lock on a small file beside the database while it lives
    budgets     accounts that are summed up: every user's and token's money, and whatever else a
                configuration bounds (`bounded`); `zone` is where calendar periods begin
    spend       what an account's records add up to, by the beginning of the period they fall into
    leases      slices that a process may spend without asking; for others they count as used
    budget_marks  a number that rises when budgets come or go

What is written here is a cache of the records, kept exact: for each budget, `spend` is the sum of
its records (of those that arrived since `since_ms`), but for those that a process has written
after its `synced_seq`, which it adds within a second or so, or whoever finds it dead.
"""

from __future__ import annotations

from sqlite_utils import Database

from oneapi.ledger.tables_logs import summed

KEPT = ("user", "token")
"""Whose money is always summed up, limit or not."""


def create(db: Database) -> None:
    """Within the migration's transaction. Users and tokens that have records get their sums."""
    db.execute("DROP TRIGGER IF EXISTS records_tail")  # each writer has its own, with its number
    db.execute("ALTER TABLE tail ADD COLUMN process INTEGER NOT NULL DEFAULT 0")
    db.table("processes").create(
        {"id": int, "pid": int, "started_ms": int, "synced_seq": int, "gone_ms": int},
        pk="id",
        not_null={"pid", "started_ms", "synced_seq", "gone_ms"},
        defaults={"gone_ms": 0},
    )
    _create_budgets(db)
    db.execute(
        "CREATE TABLE spend (budget_id INTEGER NOT NULL, bucket INTEGER NOT NULL,"
        " used INTEGER NOT NULL, PRIMARY KEY (budget_id, bucket)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE leases (budget_id INTEGER NOT NULL, process_id INTEGER NOT NULL,"
        " amount INTEGER NOT NULL, promised_ms INTEGER NOT NULL,"
        " PRIMARY KEY (budget_id, process_id)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE budget_marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID"
    )
    for scope in KEPT:
        _sum_up(db, scope)


def _create_budgets(db: Database) -> None:
    columns: dict[str, type] = {
        "id": int,
        "scope": str,
        "name_id": int,
        "unit": str,
        "period": str,
        "counting": str,
        "zone": str,
        "bounded": int,
        "since_ms": int,
        "init_seq": int,
        "credit": int,
        "short_ms": int,
        "seen_ms": int,
    }
    budgets = db.table("budgets")
    numbers = ("bounded", "since_ms", "init_seq", "credit", "short_ms", "seen_ms")
    budgets.create(
        columns, pk="id", not_null=columns.keys() - {"id"}, defaults=dict.fromkeys(numbers, 0)
    )
    budgets.create_index(
        ["name_id", "scope", "unit", "period", "counting", "zone"],
        index_name="budgets_account",
        unique=True,
    )
    # Few are short at a time: who looks for them need not read the others.
    db.execute("CREATE INDEX budgets_short ON budgets (short_ms) WHERE short_ms > 0")
    db.execute("CREATE INDEX budgets_bounded ON budgets (id) WHERE bounded = 1")


def _sum_up(db: Database, scope: str) -> None:
    names = f"records r JOIN names n ON n.id = r.{scope}_id"
    number = "coalesce(n.same_as, n.id)"
    db.execute(
        "INSERT INTO budgets (scope, name_id, unit, period, counting, zone)"
        f" SELECT DISTINCT ?, {number}, 'nanousd', 'total', 'all', '' FROM {names}",
        (scope,),
    )
    cost = summed("cost_nanousd", "r.")
    # In two halves: of two absurd costs SQLite would refuse to tell the sum.
    high, low = f"sum({cost} >> 32)", f"sum({cost} & 4294967295)"
    whole = f"iif({high} + ({low} >> 32) < 2147483648, ({high} << 32) + {low}, {2**63 - 1})"
    db.execute(
        f"INSERT INTO spend (budget_id, bucket, used) SELECT b.id, 0, {whole} FROM {names}"
        f" JOIN budgets b ON b.scope = ? AND b.name_id = {number} GROUP BY b.id",
        (scope,),
    )
