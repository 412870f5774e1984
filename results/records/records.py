"""All records of a journal, told apart by their event.

A journal whose records keep the rules of their classes, and come in the order of
`results.journal.record_order`, can be replayed and put into tables. One that breaks them, for
example because it was edited by hand, is rejected before anything is computed from it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, get_args

from pydantic import Field, TypeAdapter

from results.records.record import Record
from results.records.search_records import (
    CorpusRecord,
    EarlierTrialsRead,
    EvalCropsChosen,
    EvalPlanChosen,
    GpuShareMeasured,
    GraceChanged,
    InfeasibleSuggestion,
    ModelsBenchmarked,
    PrecisionChosen,
    RepeatedSuggestion,
    SearchEnded,
    SearchResumed,
    SearchStarted,
    StartPointsRead,
    TeacherRecord,
)
from results.records.trial_records import (
    EpochEnded,
    FinalTestOpened,
    InfrastructureFault,
    TrialEnded,
    TrialPlaced,
    TrialStarted,
)

AnyRecord = (
    SearchStarted
    | SearchResumed
    | SearchEnded
    | CorpusRecord
    | TeacherRecord
    | EvalCropsChosen
    | EvalPlanChosen
    | StartPointsRead
    | EarlierTrialsRead
    | InfeasibleSuggestion
    | RepeatedSuggestion
    | GpuShareMeasured
    | PrecisionChosen
    | GraceChanged
    | TrialStarted
    | TrialPlaced
    | EpochEnded
    | InfrastructureFault
    | TrialEnded
    | ModelsBenchmarked
    | FinalTestOpened
)
EVENTS: Mapping[str, type[Record]] = MappingProxyType(
    {kind.model_fields["event"].default: kind for kind in get_args(AnyRecord)}
)
RECORD = TypeAdapter[AnyRecord](Annotated[AnyRecord, Field(discriminator="event")])
