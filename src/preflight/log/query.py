"""Questions to the log in SQL that can only read, and only the log."""

from pathlib import Path
from typing import Any

from preflight.errors import Problem
from preflight.log.view import connect

WORDS = "one SELECT over predictions and outcomes"


def answer(folder: Path, question: str, most: int) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The columns' names and at most `most` rows; raises Problem for anything but a SELECT."""
    import duckdb

    place = folder.resolve()
    connection = connect(place)
    try:
        statements = connection.extract_statements(question)
        if [each.type for each in statements] != [duckdb.StatementType.SELECT]:
            raise Problem("the query", "something else", WORDS, "Nothing was run.")
        # Functions of a SELECT read files too, and more.
        connection.execute("SET allowed_directories = $places", {"places": [str(place)]})
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        found = connection.execute(statements[0])
        names = [column[0] for column in found.description or ()]
        return names, found.fetchmany(most)
    except duckdb.Error as error:
        said = " ".join(str(error).split())[:300]
        raise Problem("the query", said, WORDS, 'Mend it; the word "at" needs quotes.') from None
