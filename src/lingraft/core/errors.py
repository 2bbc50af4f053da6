"""One tree of errors for everything a user can cause and mend."""


class LingraftError(Exception):
    """What is wrong with which value, where it stands, and what to do next.

    The command line prints it without a traceback and exits with 2.
    """

    def __init__(self, what: str, *, where: object = None, remedy: str | None = None) -> None:
        super().__init__(what, where, remedy)
        self.what, self.where, self.remedy = what, where, remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where is not None else ""
        advice = f"\n  {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{advice}"


class RecipeError(LingraftError):
    """A recipe that cannot be carried out as it is written."""


class InputError(LingraftError):
    """Text, a tokenizer or a model from outside that cannot be used as it is."""


class StoreError(LingraftError):
    """The store cannot be read or written: locked, full, damaged or not there."""


class StageError(LingraftError):
    """A stage that ran and found that its result would be wrong."""
