"""The one error that bad input causes."""


class Problem(Exception):
    """A mistake somebody can mend: where it is, what was found and expected, what to do.

    Commands and stages print it as one line and exit with status 1; nobody sees a traceback
    for a mistake of their own.
    """

    def __init__(self, where: str, found: str, expected: str, remedy: str) -> None:
        self.where, self.found, self.expected, self.remedy = where, found, expected, remedy
        super().__init__(f"{where}: found {found}; expected {expected}. {remedy}")

    def __reduce__(self) -> tuple[type["Problem"], tuple[str, str, str, str]]:
        """Problems cross process boundaries as what they were made of."""
        return type(self), (self.where, self.found, self.expected, self.remedy)


class NoData(Problem):
    """A figure that a decision needs is missing: exit status 2, and never a pass."""
