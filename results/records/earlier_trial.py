"""A trial of an earlier run that a search learns from, as recorded."""

from typing import Annotated, Any

from pydantic import Field

from results.records.record_values import Count, RecordValue, Rule


class EarlierTrial(RecordValue):
    """A trial of an earlier run that the search learns from.

    Attributes:
        source: The earlier run's folder.
        trial: Its number there.
        params: The parameters of this search's space that are nearest to its config.
        place: Its place in that run's order, 0 for the best to 1 for the worst.
    """

    source: str
    trial: Count
    params: dict[str, Any]
    place: Annotated[float, Field(ge=0, le=1)]


EarlierTrials = Annotated[
    list[EarlierTrial], Rule("a list of mappings with source, trial, params and place")
]
