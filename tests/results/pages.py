"""Pages parsed as a browser would, and run folders to make pages from."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from results.journal.run_folder import RunFolder
from results.records.record import Record
from results.records.trial_records import FAULT_KINDS
from tests.worlds.journals import made_record, write_journal

SETTINGS: dict[str, Any] = {
    "space": "space.yaml",
    "sampler": "tpe",
    "max_epochs": 27,
    "scheduler": {"kind": "asha", "grace_epochs": 3, "reduction_factor": 3.0},
    "success": {"baseline": 12.0, "target": 11.0},
    "stop_at": "target",
    "corpus": {"train_list": "train.txt", "val_list": "val.txt"},
}
PROVENANCE: dict[str, Any] = {
    "command": "veer search s.yaml --run 'my run'",
    "versions": {"torch": "2.11.0"},
    "git": {"commit": "abc", "has_changes": True},
    "hardware": {"cpu": "a CPU"},
}


class Page(HTMLParser):
    """The elements, attributes and text that a browser would find in a page.

    Text in `details` (YAML, which has escapes of its own) is kept apart, as is the data.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.others: list[str] = []
        self.text = ""
        self.folded = ""
        self.code: list[str] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        if tag not in ("meta", "br", "wbr", "input"):
            self._open.append(tag)
        if tag == "script":
            self.scripts.append("")
        if tag == "code":
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts[-1] += data
        elif "details" in self._open:
            self.folded += data
        elif "style" not in self._open:
            self.text += data
        if "code" in self._open:
            self.code[-1] += data

    @property
    def embedded(self) -> dict[str, str]:
        """The text of each script element that has an id: the data."""
        ids = [dict(attributes).get("id") for tag, attributes in self.elements if tag == "script"]
        return {name: text for name, text in zip(ids, self.scripts, strict=True) if name}

    @property
    def policy(self) -> str:
        """The Content-Security-Policy of the page."""
        metas = [dict(attributes) for tag, attributes in self.elements if tag == "meta"]
        known = "Content-Security-Policy"
        return next(str(each["content"]) for each in metas if each.get("http-equiv") == known)

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)


def rich_records(run: RunFolder) -> list[Record]:
    """Return a journal with every event: those of a run, and the ones that test runs lack."""
    extra: list[dict[str, Any]] = [
        {"event": "search_resumed", "settings": SETTINGS, "provenance": PROVENANCE},
        {"event": "corpus", "lists": {"train": {"sha256": "ab12", "lines": 7}},
         "stores": {"train": "k1"}},
        {"event": "eval_crops", "eval_crops": 1, "wanted": 2, "expected_share": 0.1},
        {"event": "eval_plan", "every_epochs": 3, "anyway": [2], "all_from": 9},
        *(
            {"event": "infrastructure", "kind": kind, "trial": 0, "epoch": 1, "message": kind * 2}
            for kind in FAULT_KINDS
            if kind != "out_of_memory"  # which has more fields
        ),
        {"event": "infrastructure", "kind": "out_of_memory", "trial": 1, "epoch": 1,
         "message": "1 GiB short", "share": 0.5, "resource": "gpu"},
        {"event": "placed", "trial": 0, "epoch": 1, "host": "node", "pid": 1, "device": "cpu",
         "num_threads": 1, "hardware": {"cpu": "a CPU"}, "had_s": 1.0},
        {"event": "benchmark", "hardware": {"cpu": "another CPU"},
         "rows": [{"model": "trial 0", "num_params": 5, "macs": 6, "batch_size": 1,
                   "num_threads": 1, "latency_median_ms": 1.5, "latency_p95_ms": 2.5,
                   "samples_per_s": 9.0, "real_time_factor": 0.1, "speed_ratio": None}]},
        {"event": "trial_ended", "trial": 3, "state": "failed", "reason": "out of luck"},
        {"event": "search_ended", "reason": "failing"},
    ]  # fmt: skip
    records = run.read()
    if any(each.event == "trial_ended" and each.trial == 3 for each in records):
        del extra[-2]
    return [*records, *(made_record(time_s=1000.0 + n, **each) for n, each in enumerate(extra))]


def write_run(folder: Path, records: list[Record], space: bytes) -> RunFolder:
    folder.mkdir(parents=True)
    write_journal(folder / "journal.jsonl", records)
    (folder / "space.yaml").write_bytes(space)
    return RunFolder(folder)
