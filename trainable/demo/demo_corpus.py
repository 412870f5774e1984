"""The demo corpus: synthetic speakers with several recording sessions each, made on request.

It shows that everything works. Its voices are synthetic, so results on it do not carry over to
people.
"""

import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from pydantic import BaseModel, ConfigDict, Field

from models.frontend import SAMPLE_RATE_HZ
from spaces.files.atomic import write_text_atomically
from spaces.files.errors import VeerError
from trainable.audio.reading import Wave
from trainable.corpus.prepare import CORPUS_FILE, PrepareConfig, prepare_corpus
from trainable.demo.sentences import draw_sentence
from trainable.demo.sessions import BLOCK_SAMPLES, draw_session, record
from trainable.demo.voices import (
    EspeakSynthesizer,
    Voice,
    draw_voices,
    drifted,
    open_espeak,
    require_espeak,
)
from trainable.machine.cores import available_cores

WAV_DIR = "wav"
MANIFEST_FILE = "demo.json"
# Increase it when the same settings give other audio: older corpora are then built again.
RECIPE = 1

# Utterances of whole blocks of 50 ms, which last 2.2 to 3.2 s.
MIN_BLOCKS, MAX_BLOCKS = 44, 64
FADE_S = 0.02  # without a fade the cut at the end would click


class DemoConfig(BaseModel):
    """Size and seed of a demo corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, description="the same seed gives the same bytes")
    num_speakers: int = Field(default=140, ge=4, description="speakers in all")
    num_val_speakers: int = Field(default=26, ge=2, description="speakers for validation, of all")
    num_test_speakers: int = Field(default=10, ge=0, description="speakers for the test, of all")
    num_sessions: int = Field(default=3, ge=1, description="recording sessions a speaker")
    num_utterances: int = Field(default=3, ge=1, description="utterances a session")
    num_pairs: int = Field(default=1400, ge=2, description="trial pairs a list at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCorpus:
    """A demo corpus on disk.

    Attributes:
        config_path: Path of its `corpus.yaml`.
        reused: Whether it existed already.
    """

    config_path: Path
    reused: bool


def build_demo_corpus(
    out_dir: Path, config: DemoConfig, progress: Callable[[int, int], None] | None = None
) -> DemoCorpus:
    """Build the demo corpus, or reuse an intact one with the same settings.

    It is built next to `out_dir` by one process per CPU core, and renamed when it is complete. A
    demo corpus that is damaged or has other settings is replaced; any other folder is kept.

    Args:
        out_dir: Folder of only the corpus.
        config: Size and seed.
        progress: Called with (speakers done, speakers in all) while building.

    Raises:
        VeerError: espeak-ng is missing, or the folder holds something else.
    """
    if _is_intact(out_dir, config):
        return DemoCorpus(config_path=out_dir / CORPUS_FILE, reused=True)
    if out_dir.exists() and any(out_dir.iterdir()) and not (out_dir / MANIFEST_FILE).exists():
        raise VeerError(f"{out_dir} must be new or a demo corpus, it holds something else")
    require_espeak()
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    try:
        building.chmod(0o755)  # `mkdtemp` lets only this user in
        _build(building, config, progress)
        if _is_intact(out_dir, config):
            # Another process has built the same corpus in the meantime.
            return DemoCorpus(config_path=out_dir / CORPUS_FILE, reused=True)
        if out_dir.exists():
            # `rename` cannot replace a folder that has files.
            shutil.rmtree(out_dir)
        building.rename(out_dir)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return DemoCorpus(config_path=out_dir / CORPUS_FILE, reused=False)


def _build(folder: Path, config: DemoConfig, progress: Callable[[int, int], None] | None) -> None:
    voices = draw_voices(config.num_speakers, config.seed)
    num_workers = min(available_cores(), config.num_speakers)
    # Spawned, since a fork of a process with threads may hang. One thread each: there is already a
    # process for every core.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, torch.set_num_threads, (1,)) as pool:
        futures = [
            pool.submit(_build_speaker, folder / WAV_DIR, number, voice, config)
            for number, voice in enumerate(voices)
        ]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress:
                    progress(done, len(voices))
        except BrokenProcessPool as error:
            raise VeerError("a process that built the demo corpus died, see its output") from error
        finally:
            pool.shutdown(cancel_futures=True)
    prepare_corpus(
        folder / WAV_DIR,
        folder,
        PrepareConfig(
            layout="voxceleb",
            num_val_speakers=config.num_val_speakers,
            num_test_speakers=config.num_test_speakers,
            num_pairs=config.num_pairs,
            seed=config.seed,
        ),
    )
    # Last, since it lists the sizes of all other files.
    write_text_atomically(folder / MANIFEST_FILE, json.dumps(_manifest(folder, config), indent=1))


def _build_speaker(root: Path, number: int, voice: Voice, config: DemoConfig) -> None:
    """Write all sessions of a speaker; the audio depends only on the seed and the number."""
    # The middle number keeps this sequence apart from that of `draw_voices`.
    rng = np.random.default_rng([config.seed, 1, number])
    with open_espeak() as speech:
        for session_number in range(1, config.num_sessions + 1):
            folder = root / f"demo{number + 1:04d}" / f"session{session_number}"
            folder.mkdir(parents=True)
            voice_today, session = drifted(voice, rng), draw_session(rng)
            for utterance_number in range(1, config.num_utterances + 1):
                wave_S = record(_draw_speech(speech, voice_today, rng), session, rng)
                soundfile.write(
                    folder / f"{utterance_number:05d}.flac", wave_S, SAMPLE_RATE_HZ, "PCM_16"
                )


def _draw_speech(speech: EspeakSynthesizer, voice: Voice, rng: np.random.Generator) -> Wave:
    """Speak random sentences for a random number of blocks, and fade out the end."""
    num_samples = int(rng.integers(MIN_BLOCKS, MAX_BLOCKS + 1)) * BLOCK_SAMPLES
    wave_S = speech.synthesize(draw_sentence(rng), voice)
    while len(wave_S) < num_samples:
        wave_S = np.concatenate([wave_S, speech.synthesize(draw_sentence(rng), voice)])
    wave_S = wave_S[:num_samples]
    num_fade = round(FADE_S * SAMPLE_RATE_HZ)
    wave_S[-num_fade:] *= np.linspace(1.0, 0.0, num_fade, dtype=np.float32)
    return wave_S


def _manifest(folder: Path, config: DemoConfig) -> dict[str, Any]:
    """Return the manifest of a finished corpus: recipe, config, and size of each other file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "recipe": RECIPE,
        "config": config.model_dump(),
        "bytes": {path.relative_to(folder).as_posix(): path.stat().st_size for path in files},
    }


def _is_intact(folder: Path, config: DemoConfig) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        return bool(
            manifest["recipe"] == RECIPE
            and manifest["config"] == config.model_dump()
            and all((folder / p).stat().st_size == size for p, size in manifest["bytes"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
