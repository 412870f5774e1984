"""TensorBoard's own readers find the content of the journal."""

import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.record import Record
from results.records.search_records import ModelsBenchmarked
from results.records.trial_records import EpochEnded
from results.tables.schema import EPOCH_COLUMNS
from results.trackers.event_records import FILE_NAME
from results.trackers.scalars import NOT_SCALARS, SCALARS
from results.trackers.tensorboard import (
    METRICS,
    event_files,
    write_event_files,
)
from spaces.dimensions import Choice, Dimension, Float
from tests.worlds.journal_writing import report, start
from tests.worlds.journals import made_record
from tests.worlds.views import view_of

with warnings.catch_warnings():
    # Of packages that TensorBoard brings.
    warnings.simplefilter("ignore")
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

Dimensions = tuple[Dimension, ...]
MEASURED = {
    "num_threads": 1, "latency_median_ms": 1.0, "latency_p95_ms": 2.0, "macs": 1, "num_params": 2,
    "real_time_factor": 0.001, "samples_per_s": 500.0,
}  # fmt: skip


def written(run: RunFolder, dimensions: Sequence[Dimension]) -> RunFolder:
    write_event_files(run.tensorboard, event_files(RunView.read(run), dimensions))
    return run


def scalars(run: RunFolder, folder: str, tag: str) -> list[tuple[int, float]]:
    reader = EventAccumulator(str(run.tensorboard / folder), size_guidance={"scalars": 0})
    reader.Reload()
    return [(event.step, event.value) for event in reader.Scalars(tag)]


class HParams:
    """What the HParams page would show of a logdir."""

    def __init__(self, logdir: Path) -> None:
        runs = EventMultiplexer()
        runs.AddRunsFromDirectory(str(logdir))
        runs.Reload()
        self.context, asker = RequestContext(), MultiplexerDataProvider(runs, str(logdir))
        self.backend = backend_context.Context(TBContext(data_provider=asker, logdir=str(logdir)))
        self.experiment = self.backend.experiment_from_metadata(
            self.context,
            "",
            include_metrics=True,
            hparams_run_to_tag_to_content=self.backend.hparams_metadata(self.context, ""),
            data_provider_hparams=[],
        )

    def sessions(self) -> list[tuple[str, str, dict[str, Any], dict[str, float]]]:
        """(folder, status, parameters, metrics) of every session, in the order of the groups."""
        request = api_pb2.ListSessionGroupsRequest(
            start_index=0,
            slice_size=1000,
            allowed_statuses=api_pb2.Status.values(),
            col_params=[api_pb2.ColParams(metric=m.name) for m in self.experiment.metric_infos],
        )
        answer = list_session_groups.Handler(self.context, self.backend, "", request).run()
        return [
            (
                session.name,
                api_pb2.Status.Name(session.status),
                {name: getattr(v, v.WhichOneof("kind")) for name, v in group.hparams.items()},
                {metric.name.tag: metric.value for metric in session.metric_values},
            )
            for group in answer.session_groups
            for session in group.sessions
        ]


def test_every_epoch_is_a_step(journal_run: RunFolder, dimensions: Dimensions) -> None:
    run = written(journal_run, dimensions)
    assert scalars(run, "trial-0000", "veer_pct") == [(1, 20.0), (2, 12.0), (3, 13.0)]
    assert scalars(run, "trial-0000", "stage_shares/2") == [
        (epoch, pytest.approx(0.06 * epoch)) for epoch in (1, 2, 3)
    ]
    assert scalars(run, "trial-0001", "distill_share") == [
        (1, pytest.approx(8e-5)), (2, pytest.approx(8e-5))
    ]  # fmt: skip
    assert scalars(run, "trial-0002", "veer_pct") == [(1, 5.0)]
    assert scalars(run, "trial-0002", "lr") == [(1, pytest.approx(1e-3)), (2, pytest.approx(1e-3))]


def test_all_numbers_of_an_epoch_are_there(tmp_path: Path) -> None:
    lists = {"loss_stages", "stage_shares"}
    values = {name: 0.5 + index for index, name in enumerate(SCALARS) if name not in lists}
    values["num_samples"] = 99
    with Journal(tmp_path / "journal.jsonl") as journal:
        start(journal, 0, loss__distillation="none", training__lr=1e-3)
        veer_pct = values.pop("veer_pct")
        report(journal, 0, 1, veer_pct, **values, loss_stages=[1.0], stage_shares=[2.0])
    run = written(RunFolder(tmp_path), ())
    for name, value in values.items():
        assert scalars(run, "trial-0000", name) == [(1, value)]
    assert scalars(run, "trial-0000", "loss_stages/1") == [(1, 1.0)]
    assert {each.name for each in EPOCH_COLUMNS} == set(SCALARS) | NOT_SCALARS


def test_hparams_has_parameters_states_and_metrics(
    journal_run: RunFolder, dimensions: Dimensions
) -> None:
    run = written(journal_run, dimensions)
    with Journal(run.journal) as journal:
        rows = [
            MEASURED | {"model": "trial 0", "batch_size": 1, "speed_ratio": 2.5},
            MEASURED | {"model": "trial 0", "batch_size": 8, "speed_ratio": 3.5},
            MEASURED | {"model": "teacher", "batch_size": 1, "speed_ratio": 1.0},
        ]
        journal.append(ModelsBenchmarked(hardware={}, rows=rows))
    shown = HParams(written(run, dimensions).path)
    sessions = {name: rest for name, *rest in shown.sessions()}
    assert list(sessions) == [f"tensorboard/trial-{number:04d}" for number in range(7)]
    status, params, metrics = sessions["tensorboard/trial-0000"]
    assert status == "STATUS_SUCCESS"
    assert params == {
        "loss.distillation": "cosine",
        "loss.alpha": 0.7,
        "model.num_blocks": 4,
        "training.lr": 1e-3,
    }
    assert metrics == {
        "trial/best_veer_pct": 12.0,
        "veer_pct": 13.0,
        "trial/median_veer_pct": 13.0,
        "trial/num_params": 1000,
        "trial/speed_ratio": 2.5,
    }
    assert [sessions[name][0].removeprefix("STATUS_") for name in sessions] == [
        "SUCCESS", "SUCCESS", "SUCCESS", "FAILURE", "UNKNOWN", "SUCCESS", "SUCCESS"
    ]  # fmt: skip
    assert {m.name.tag: m.display_name for m in shown.experiment.metric_infos} == METRICS


def test_hparams_knows_the_bounds(journal_run: RunFolder) -> None:
    dimensions: Dimensions = (
        Float(name="lr", low=1e-4, high=1e-2, log=True),
        Choice(name="family", choices=("a", "b")),
        Choice(name="flag", choices=(True, False)),
        Choice(name="width", choices=(64, 96)),
        Choice(name="mixed", choices=("all", 3, None)),
    )
    experiment = HParams(written(journal_run, dimensions).path).experiment
    infos = {info.name: info for info in experiment.hparam_infos}
    lr, family, flag, width, mixed = (infos[dimension.name] for dimension in dimensions)
    assert (lr.domain_interval.min_value, lr.domain_interval.max_value) == (1e-4, 1e-2)
    assert list(family.domain_discrete) == ["a", "b"]
    assert list(flag.domain_discrete) == [True, False]
    assert list(width.domain_discrete) == [64, 96]
    assert list(mixed.domain_discrete) == ["all", "3", "None"]


def test_values_of_mixed_choices_are_text(tmp_path: Path) -> None:
    mixed = (Choice(name="mixed", choices=("all", 3)),)
    with Journal(tmp_path / "journal.jsonl") as journal:
        start(journal, 0, mixed=3, training__lr=1e-3)
    [(_, _, params, _)] = HParams(written(RunFolder(tmp_path), mixed).path).sessions()
    assert params == {"mixed": "3", "training.lr": 1e-3}


def begin(trial: int, time_s: float, **more: object) -> Record:
    started = {"params": {}, "config": {}, "config_hash": "", "seed": 0}
    return made_record("trial_started", time_s=time_s, trial=trial, **started, **more)


def test_a_follow_up_has_scalars_and_no_session(tmp_path: Path) -> None:
    records = [
        begin(0, 1.0),
        made_record("epoch", time_s=2.0, trial=0, epoch=1, veer_pct=9.0),
        made_record("trial_ended", time_s=3.0, trial=0, state="complete", reason=None),
        begin(1, 4.0, follow_up="repeat", follows=0),
        made_record("epoch", time_s=5.0, trial=1, epoch=1, veer_pct=8.0),
        made_record("trial_ended", time_s=6.0, trial=1, state="complete", reason=None),
    ]
    (tmp_path / "journal.jsonl").touch()
    run = RunFolder(tmp_path)
    write_event_files(run.tensorboard, event_files(view_of(records), ()))
    assert scalars(run, "trial-0001-repeat-of-0000", "veer_pct") == [(1, 8.0)]
    assert [name for name, *_ in HParams(tmp_path).sessions()] == ["tensorboard/trial-0000"]


def test_a_failed_trial_that_is_begun_again_has_another_session(tmp_path: Path) -> None:
    records = [
        begin(0, 1.0),
        made_record("epoch", time_s=2.0, trial=0, epoch=1, veer_pct=9.0),
        made_record("trial_ended", time_s=3.0, trial=0, state="failed", reason="x"),
        begin(0, 4.0),
        made_record("epoch", time_s=5.0, trial=0, epoch=2, veer_pct=9.5),
        made_record("trial_ended", time_s=6.0, trial=0, state="complete", reason=None),
    ]
    (tmp_path / "journal.jsonl").touch()
    run = RunFolder(tmp_path)
    write_event_files(run.tensorboard, event_files(view_of(records), ()))
    assert scalars(run, "trial-0000-again", "veer_pct") == [(2, 9.5)]
    assert scalars(run, "trial-0000-again", "trial/best_veer_pct") == [(2, 9.0)]
    states = {name: status for name, status, *_ in HParams(tmp_path).sessions()}
    assert states == {
        "tensorboard/trial-0000": "STATUS_FAILURE",
        "tensorboard/trial-0000-again": "STATUS_SUCCESS",
    }


def test_written_twice_nothing_is_doubled_and_other_trials_go(
    journal_run: RunFolder, dimensions: Dimensions
) -> None:
    run = written(journal_run, dimensions)
    torn, other = run.tensorboard / "trial-0000" / FILE_NAME, run.tensorboard / "trial-0099"
    torn.write_bytes(torn.read_bytes()[:100])
    other.mkdir()
    (other / FILE_NAME).write_bytes(b"of a trial that the journal does not know")
    untouched = run.tensorboard / "trial-0001" / FILE_NAME
    before = untouched.stat()
    written(run, dimensions)
    assert scalars(run, "trial-0000", "veer_pct") == [(1, 20.0), (2, 12.0), (3, 13.0)]
    assert not (other / FILE_NAME).exists()
    after = untouched.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_events_have_the_journals_times(journal_run: RunFolder, dimensions: Dimensions) -> None:
    records = journal_run.read()
    times_s = [each.time_s for each in records if isinstance(each, EpochEnded) and each.trial == 0]
    content = event_files(view_of(records), dimensions)[f"trial-0000/{FILE_NAME}"]
    events = []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        events.append(Event.FromString(content[12 : 12 + size]))
        content = content[16 + size :]
    assert events[0].file_version == "brain.Event:2"
    assert [event.wall_time for event in events if event.step] == times_s
