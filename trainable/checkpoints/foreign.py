"""What a file is that is given as a model file and is of another program, and what leads on.

Only the first bytes are read; nothing in a file is executed.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from trainable.config.teacher_forms import TEACHER_FORMS

TAKEN = f"Veer takes {TEACHER_FORMS}"
AS_PARQUET = (
    "write its embeddings as Parquet, a row an utterance, and give that file (docs/teachers.md, "
    '"A file of embeddings")'
)
CONVERT = (
    "`veer teacher convert` makes a teacher of it (docs/teachers.md, \"Embeddings of other "
    'toolkits")'
)
AS_PLUGIN = (
    "name it as `weights` in the .yaml file of a plug-in, and give that file (docs/teachers.md, "
    '"A plug-in of voxceleb_trainer")'
)
ITS_OWN_PROGRAM = (
    "compute embeddings of the corpus with the program that it is from, and write them as Parquet "
    '(docs/teachers.md, "A file of embeddings")'
)
IMPORT = (
    "if it has the weights of a family that Veer has, `veer import` makes a model file of them "
    "(docs/voxceleb_trainer.md); else "
)
_HEAD_BYTES = 4096
_NUMBER = rb"[-+0-9.eE]+"
_STARTS = tuple(
    (re.compile(start), what, remedy)
    for start, what, remedy in (
        (rb"\x93NUMPY", "a NumPy array (.npy)", CONVERT),
        (rb"\x89HDF\r\n", "an HDF5 file", AS_PARQUET),
        (rb"version https://git-lfs", "a pointer of Git LFS", "get the file with: git lfs pull"),
        (rb"PAR1", "a Parquet file", "give it a name that ends in .parquet"),
        (rb"[^\0\n]{0,1000} \0B(?:FV|DV|FM|DM|CM)", "a Kaldi archive (.ark)", CONVERT),
        (rb"\S+ +\[ *[-+0-9.]", "a Kaldi archive (.ark)", CONVERT),
        (rb"\S+ +\S+:\d+\r?\n", "a Kaldi script file (.scp)", CONVERT),
        # Its header is JSON, after the header's length.
        (rb'(?s:.{8})\{"', "a safetensors file of weights", ITS_OWN_PROGRAM),
        (
            rb"[^\0]+[,;\t ]" + _NUMBER + rb"[,;\t ]" + _NUMBER + rb"[,;\t\r\n ]",
            "a table of text",
            AS_PARQUET,
        ),
    )
)
NAMESPACE = "argparse.Namespace"
# Of the names of weights: in voxceleb_trainer, and in a model that trained on several GPUs.
_TRAINERS_PREFIX = "__S__."
_MODULE = "module."


def foreign_kind(file: Path) -> tuple[str, str] | None:
    """Return what a file of another program is, and the remedy; None if that is not known."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
    except OSError:
        return None
    for start, what, remedy in _STARTS:
        if start.match(head):
            return what, remedy
    if head.startswith(b"PK"):
        return _archive_kind(head)
    if _is_text(head):
        return "a text file", f"if it holds embeddings, {AS_PARQUET}"
    return None


def content_kind(state: object) -> tuple[str, str]:
    """Return what the content of a file of PyTorch is that is no model file of Veer."""
    if not isinstance(state, Mapping):
        return f"a file of PyTorch that holds a {type(state).__name__}", ITS_OWN_PROGRAM
    nested = state.get("model_state_dict", state)
    names = map(str, nested) if isinstance(nested, Mapping) else ()
    if any(name.removeprefix(_MODULE).startswith(_TRAINERS_PREFIX) for name in names):
        return "a checkpoint of voxceleb_trainer", IMPORT + AS_PLUGIN
    some = ", ".join(map(str, list(state)[:3]))
    return f"a file of PyTorch of another program (with {some}, ...)", IMPORT + ITS_OWN_PROGRAM


def unsafe_kind(error: BaseException) -> tuple[str, str] | None:
    """Return what a file is that PyTorch refuses since it holds the arguments of its training.

    Any other object that a file holds may be there to be run: nothing is advised for it.
    """
    if NAMESPACE not in str(error):
        return None
    what = f"a checkpoint of a training program, with its arguments ({NAMESPACE})"
    return what, f"if it is of voxceleb_trainer, {AS_PLUGIN}; else {ITS_OWN_PROGRAM}"


def refusal_of(file: Path, kind: tuple[str, str]) -> str:
    """Return the message for a file of another program."""
    what, remedy = kind
    return f"{file}: this is {what}; {TAKEN}: {remedy}"


def _is_text(head: bytes) -> bool:
    # The last character may be cut.
    text = head.decode("utf-8", "ignore")
    is_whole = len(text.encode()) > len(head) - 4
    return bool(text) and is_whole and all(each.isprintable() or each in "\t\r\n" for each in text)


def _archive_kind(head: bytes) -> tuple[str, str] | None:
    """Return what a zip archive is, by the name of its first file."""
    first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if first.endswith(b".npy"):
        return "an archive of NumPy arrays (.npz)", CONVERT
    return None
