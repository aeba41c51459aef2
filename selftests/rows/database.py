"""Of the database."""

from rows.row import ASKED, BEYOND_ACCEPTED, Row, each

ROWS = [
    Row(
        ("database-gone",),
        each(("database_answers_select_1", *ASKED), "refuses connections"),
        blocks=BEYOND_ACCEPTED,
        long_proof=True,
    ),
    Row(
        ("database-wrong-password",),
        each(("database_answers_select_1", *ASKED), "the database refuses the release's user or password"),
        blocks=BEYOND_ACCEPTED,
        long_proof=True,
    ),
    Row(
        ("database-missing",),
        each(("database_answers_select_1", *ASKED), "the database that the release names does not exist"),
        blocks=BEYOND_ACCEPTED,
        long_proof=True,
    ),
    Row(
        ("database-not-migrated",),
        each(ASKED, "it is not migrated"),
        blocks=BEYOND_ACCEPTED,
        long_proof=True,
    ),
]
