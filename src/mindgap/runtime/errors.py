"""The one exception that speaks to a user."""


class UserError(Exception):
    """Bad input: one sentence that names what is wrong and what to do about it.

    It ends a job with that sentence and a non-zero exit status, without a traceback; every other
    exception is a defect of the program and keeps its traceback in the log.
    """


def refuse(problems: list[str]) -> None:
    """Raise a `UserError` that tells all problems, one sentence per line, if there are any."""
    if problems:
        raise UserError("\nerror: ".join(dict.fromkeys(problems)))
