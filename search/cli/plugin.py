"""The export of a model for another program, part of `veer export`."""

from __future__ import annotations

from pathlib import Path

from results.terminal.quoting import veer_command
from search.cli.console import console
from spaces.files.errors import ConfigError


def export_for(
    program: str | None, model: Path, folder: Path | None, *, trial: int | None, name: str | None
) -> None:
    """Write a model as a plug-in of voxceleb_trainer and print what to do with it.

    Raises:
        ConfigError: The program or the folder is not given, or the model cannot be exported.
    """
    from results.plugin.plugin import PluginExport, export_plugin
    from search.review.model_source import find_model

    if program is None or folder is None:
        given = "a folder" if folder is not None else "--name"
        if program is not None:
            given = f"--for {program} alone"
        raise ConfigError(
            "--for voxceleb_trainer and a FOLDER must be given together, got "
            f"{given}: {veer_command('export', model, '--for', 'voxceleb_trainer', 'FOLDER')}"
        )
    source = find_model(model, trial)
    export = PluginExport(
        loaded=source.loaded, corpus=source.corpus(), teacher=source.teacher(), name=name
    )
    config, *_ = export_plugin(export, folder)
    console.print(
        f"{export.plugin} is in {folder}; copy its content into voxceleb_trainer's folder, then\n"
        f"  python trainSpeakerNet.py --eval --config {config}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
