"""Single records of TensorBoard's event files, and the data of its HParams plug-in.

Records are TFRecords: the length in 8 bytes, its masked CRC-32C, the event, its masked CRC-32C.
HParams reads protobuf messages from the metadata of three tags: the experiment (parameters and
metrics), the start of a session (its values) and the end of a session (its status).
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tensorboardX.proto import api_pb2 as api
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.record_writer import masked_crc32c

from spaces.dimensions import Choice, Dimension

# TensorBoard reads only files with `tfevents` in their names.
FILE_NAME = "events.out.tfevents.0.veer"
# TensorBoard expects this version in the first event of a file.
_FILE_VERSION = "brain.Event:2"
# The only state that HParams shows as a failure: trials that diverged or were stopped early are
# ordinary results of a search.
_FAILED = "failed"


def event_record(time_s: float, summary: Summary, step: int = 0) -> bytes:
    """Return the bytes of one event in a file.

    Args:
        time_s: Time of the event, in seconds since 1970.
        summary: Content of the event.
        step: The epoch.
    """
    return _framed_record(Event(wall_time=time_s, step=step, summary=summary))


def first_record(time_s: float) -> bytes:
    """Return the bytes that every event file starts with."""
    return _framed_record(Event(wall_time=time_s, file_version=_FILE_VERSION))


def scalar(tag: str, value: float) -> Summary.Value:
    """Return one number of a summary."""
    return Summary.Value(tag=tag, simple_value=value)


def experiment(dimensions: Sequence[Dimension], metrics: Mapping[str, str]) -> Summary:
    """Return the experiment: the parameters with their bounds, and the metrics.

    Args:
        dimensions: The dimensions of the space.
        metrics: Display names by tag.
    """
    metric_infos = [
        api.MetricInfo(name=api.MetricName(tag=tag), display_name=name)
        for tag, name in metrics.items()
    ]
    content = api.Experiment(
        hparam_infos=[_hparam_info(dimension) for dimension in dimensions],
        metric_infos=metric_infos,
    )
    return _hparams_summary("experiment", HParamsPluginData(experiment=content))


def session_start(
    params: Mapping[str, Any], dimensions: Sequence[Dimension], trial: int, time_s: float
) -> Summary:
    """Return the start of a session: the values of a trial, as a group of one session."""
    started = SessionStartInfo(group_name=f"trial {trial}", start_time_secs=time_s)
    as_text = {each.name for each in dimensions if _kind(each) == "string"}
    for name, value in params.items():
        # bool first, since it is a subclass of int.
        if isinstance(value, bool) and name not in as_text:
            started.hparams[name].bool_value = value
        elif isinstance(value, int | float) and name not in as_text:
            started.hparams[name].number_value = value
        else:
            started.hparams[name].string_value = str(value)
    return _hparams_summary("session_start_info", HParamsPluginData(session_start_info=started))


def session_end(state: str, time_s: float) -> Summary:
    """Return the end of a session: whether the trial succeeded.

    Args:
        state: State of the trial, as in the trials table.
        time_s: Time of the end, in seconds since 1970.
    """
    status = api.STATUS_FAILURE if state == _FAILED else api.STATUS_SUCCESS
    ended = SessionEndInfo(status=status, end_time_secs=time_s)
    return _hparams_summary("session_end_info", HParamsPluginData(session_end_info=ended))


def _hparam_info(dimension: Dimension) -> api.HParamInfo:
    kind = _kind(dimension)
    info = api.HParamInfo(
        name=dimension.name, type=api.DataType.Value(f"DATA_TYPE_{kind.upper()}")
    )
    if isinstance(dimension, Choice):
        values = [str(each) if kind == "string" else each for each in dimension.choices]
        info.domain_discrete.extend(values)
    else:
        info.domain_interval.min_value = dimension.low
        info.domain_interval.max_value = dimension.high
    return info


def _kind(dimension: Dimension) -> str:
    """Return the type of the values in HParams, which has one per parameter.

    Choices of several types become text.
    """
    # HParams has no type for whole numbers.
    if not isinstance(dimension, Choice):
        return "float64"
    kinds = {type(value) for value in dimension.choices}
    if kinds == {bool}:
        return "bool"
    return "float64" if kinds <= {int, float} else "string"


def _hparams_summary(tag: str, data: HParamsPluginData) -> Summary:
    # Deterministic, since map fields have no fixed order otherwise.
    content = data.SerializeToString(deterministic=True)
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content)
    metadata = SummaryMetadata(plugin_data=plugin)
    return Summary(value=[Summary.Value(tag=f"_hparams_/{tag}", metadata=metadata)])


def _framed_record(event: Event) -> bytes:
    data: bytes = event.SerializeToString(deterministic=True)
    header = struct.pack("<Q", len(data))
    checks = (struct.pack("<I", masked_crc32c(part)) for part in (header, data))
    return header + next(checks) + data + next(checks)
