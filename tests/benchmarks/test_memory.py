"""The benchmark `memory`: what it reads from /proc, and its sums."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.made_up_store import open_features_of
from tests.benchmarks.made_up_trial import made_up_data
from tests.benchmarks.memory import added_mb, fields_mb, mappings_of, memory_of
from tests.benchmarks.memory_trial import BANK, SIZES, open_targets_of, write_stores

SMAPS = """\
7f0000000000-7f0000100000 r--s 00000000 fe:00 12  /cache/targets-1/targets-00000.arrow
Rss:                1000 kB
Pss:                 250 kB
Private_Clean:         0 kB
Private_Dirty:         0 kB
THPeligible:           0
VmFlags: rd sh mr mw me ms sd
7f0000200000-7f0000300000 rw-p 00000000 00:00 0
Rss:                2000 kB
Pss:                2000 kB
Private_Clean:         0 kB
Private_Dirty:      2000 kB
7f0000400000-7f0000500000 r-xp 00000000 fe:00 13  /lib/libtorch.so
Rss:                 500 kB
Pss:                 100 kB
Private_Clean:        24 kB
Private_Dirty:         0 kB
"""


def test_the_figures_are_those_of_proc(tmp_path: Path) -> None:
    (tmp_path / "smaps").write_text(SMAPS)
    (tmp_path / "status").write_text("Name:\tpython\nRssAnon:\t2000 kB\nRssFile:\t1500 kB\n")
    kb = 1024 / 1e6
    assert memory_of(tmp_path) == pytest.approx(
        {
            "RssAnon": 2000 * kb,
            "RssFile": 1500 * kb,
            "PSS": 2350 * kb,
            "USS": 2024 * kb,
            "store RSS": 1000 * kb,
            "store PSS": 250 * kb,
        }
    )


def test_lines_without_a_size_are_left_out() -> None:
    assert fields_mb("Name:\tpython\nThreads:\t4\nRssAnon:\t1000 kB\n") == {"RssAnon": 1.024}


def test_only_the_mappings_of_the_suffix_are_kept() -> None:
    assert mappings_of(SMAPS, ".so").splitlines()[0].endswith("/lib/libtorch.so")
    assert fields_mb(mappings_of(SMAPS, ".so"))["Rss"] == 0.512
    assert mappings_of(SMAPS, ".wav") == ""


def test_a_further_process_adds_what_the_sum_grows_by_without_the_store() -> None:
    # A store of 100 MB, 50 private to each, and 12 of libraries that all share.
    found = {
        num: [{"PSS": 50 + 112 / num, "store PSS": 100 / num}] * num for num in (1, 2, 4)
    }
    assert added_mb(found) == pytest.approx({2: 50, 4: 50})


def test_the_targets_are_those_of_the_made_up_log_mels(tmp_path: Path) -> None:
    write_stores(tmp_path, 7)
    features = open_features_of(tmp_path / "features")
    targets = open_targets_of(tmp_path / "targets", features)
    assert targets.table.length.tolist() == [BANK.num_crops] * 7
    assert targets.table.vectors_NW[0].shape == (7 * BANK.num_crops, sum(SIZES))
    assert targets.latest_of_row.tolist() == [100] * 7
    data = made_up_data(features, np.arange(5))
    np.testing.assert_array_equal(data.train_row, np.arange(5))
    assert targets.number_of_row[data.train_row].min() >= 0
