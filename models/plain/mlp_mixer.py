"""The MLP-Mixer; also for the family with a decoder, which only its training by Veer uses."""

from models.plain.mixer import Mixer


class MainModel(Mixer):
    """The MLP-Mixer."""
