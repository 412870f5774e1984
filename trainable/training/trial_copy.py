"""A trial's folder in object storage, and its working copy on the node that trains it."""

import logging
import shutil
from pathlib import Path

from spaces.files.errors import StorageError
from spaces.files.locations import mirror_path
from trainable.storage.mirror import FolderMirror
from trainable.storage.remote import RemoteFolder
from trainable.storage.retrying import TRIAL
from trainable.storage.uploader import Uploader

# A trial that ends or moves waits so long for its last upload.
FLUSH_WITHIN_S = 60.0

_log = logging.getLogger(__name__)


class TrialCopy:
    """The working copy of a trial's folder.

    Args:
        uri: The trial's folder.

    Attributes:
        folder: The working copy.
    """

    def __init__(self, uri: str) -> None:
        self.folder = mirror_path(uri)
        self._mirror = FolderMirror(self.folder, RemoteFolder(uri, TRIAL))
        self._uploader: Uploader | None = None

    def fetch(self) -> None:
        """Fetch the newest files, which the trial may have written on another node.

        Raises:
            StorageError: The store cannot be reached.
            DiskFullError: There is no room here.
        """
        if self._uploader is None:
            self._mirror.fetch()
            self._uploader = Uploader(self._mirror.upload, _log.warning)

    def request(self) -> None:
        """Upload what is new or changed; returns at once."""
        if self._uploader is not None:
            self._uploader.request()

    def leave(self) -> None:
        """Wait for the last upload, and remove the working copy; keep it if that fails."""
        if self._uploader is None:
            return
        uploader, self._uploader = self._uploader, None
        try:
            uploader.flush(FLUSH_WITHIN_S)
        except StorageError as error:
            _log.warning("%s: the last files stay in %s", error, self.folder)
        else:
            _remove(self.folder)
        finally:
            uploader.close()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
