"""Single records of TensorBoard's event files, and what its HParams plug-in reads from them.

Records are TFRecords: the length in 8 bytes, its masked CRC-32C, the event, its masked CRC-32C.
HParams is protobuf in the metadata of three tags: the experiment (which parameters and metrics),
a session's start (its values) and its end (how it came out).
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

# TensorBoard takes a file for its own by `tfevents`.
FILE_NAME = "events.out.tfevents.0.veer"
VERSION = "brain.Event:2"
# A trial that was stopped early, or diverged, came to its end as it should.
FAILED = "failed"


def event_record(time_s: float, summary: Summary, step: int = 0) -> bytes:
    """One event as its file holds it.

    Args:
        time_s: When, seconds since 1970.
        summary: What.
        step: The epoch.
    """
    return _framed(Event(wall_time=time_s, step=step, summary=summary))


def first_record(time_s: float) -> bytes:
    """What every event file begins with."""
    return _framed(Event(wall_time=time_s, file_version=VERSION))


def scalar(tag: str, value: float) -> Summary.Value:
    """One number of a summary."""
    return Summary.Value(tag=tag, simple_value=value)


def experiment(dimensions: Sequence[Dimension], metrics: Mapping[str, str]) -> Summary:
    """Which parameters vary, within which bounds, and what is measured.

    Args:
        dimensions: The space's.
        metrics: Tag to name.
    """
    shown = [
        api.MetricInfo(name=api.MetricName(tag=tag), display_name=name)
        for tag, name in metrics.items()
    ]
    told = api.Experiment(
        hparam_infos=[_described(dimension) for dimension in dimensions], metric_infos=shown
    )
    return _of_hparams("experiment", HParamsPluginData(experiment=told))


def session_start(
    params: Mapping[str, Any], dimensions: Sequence[Dimension], trial: int, time_s: float
) -> Summary:
    """A trial's values, in a group of its own."""
    started = SessionStartInfo(group_name=f"trial {trial}", start_time_secs=time_s)
    as_text = {each.name for each in dimensions if _kind(each) == "string"}
    for name, value in params.items():
        if isinstance(value, bool) and name not in as_text:
            started.hparams[name].bool_value = value
        elif isinstance(value, int | float) and name not in as_text:
            started.hparams[name].number_value = value
        else:
            started.hparams[name].string_value = str(value)
    return _of_hparams("session_start_info", HParamsPluginData(session_start_info=started))


def session_end(state: str, time_s: float) -> Summary:
    """How a trial came out.

    Args:
        state: As in the trials table.
        time_s: When, seconds since 1970.
    """
    status = api.STATUS_FAILURE if state == FAILED else api.STATUS_SUCCESS
    ended = SessionEndInfo(status=status, end_time_secs=time_s)
    return _of_hparams("session_end_info", HParamsPluginData(session_end_info=ended))


def _described(dimension: Dimension) -> api.HParamInfo:
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
    """How HParams keeps the values; choices of several types are text."""
    if not isinstance(dimension, Choice):
        return "float64"
    kinds = {type(value) for value in dimension.choices}
    if kinds == {bool}:
        return "bool"
    return "float64" if kinds <= {int, float} else "string"


def _of_hparams(tag: str, data: HParamsPluginData) -> Summary:
    content = data.SerializeToString(deterministic=True)
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content)
    metadata = SummaryMetadata(plugin_data=plugin)
    return Summary(value=[Summary.Value(tag=f"_hparams_/{tag}", metadata=metadata)])


def _framed(event: Event) -> bytes:
    data: bytes = event.SerializeToString(deterministic=True)
    header = struct.pack("<Q", len(data))
    checks = (struct.pack("<I", masked_crc32c(part)) for part in (header, data))
    return header + next(checks) + data + next(checks)
