"""What a browser may send, and nothing else."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_COMMENT = 2000
_LONGEST_DAY = 86_400.0
Score = Annotated[int, Field(ge=0, le=3)]


class _Asked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Entering(_Asked):
    token: str = Field(min_length=1, max_length=200)


Annotator = Annotated[int, Field(ge=1, le=2**53)]


class Asking(_Asked):
    annotator: Annotator | None = None
    """Whose page asks; None before it knows. Another link may have been opened in the same browser since."""
    position: Annotated[int, Field(ge=0, le=10**9)] | None = None


class Scores(_Asked):
    accuracy: Score
    fluency: Score
    informativeness: Score
    coherence: Score
    harmlessness: Score


class _Voting(_Asked):
    key: str = Field(pattern="^[0-9a-f]{32}$")
    """Of the browser's making, the same for every attempt to send one vote."""
    annotator: Annotator
    """Whose question is on the screen: sides are swapped for each annotator apart."""
    question: str = Field(pattern="^[0-9a-f]{24}$")
    comment: str = Field(default="", max_length=MAX_COMMENT)
    seconds: float = Field(ge=0, le=_LONGEST_DAY, allow_inf_nan=False)


class Comparing(_Voting):
    choice: Literal["left", "right", "tie", "both_bad"]


class Rating(_Voting):
    choice: Scores
