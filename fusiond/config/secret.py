"""A secret is kept as the place where it can be read, never as text in the configuration."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Exactly one of the three: `{ env = "NAME" }`, `{ file = "/path" }`, `{ credential = "name" }` (systemd)."""

    env: str | None = None
    file: str | None = None
    credential: str | None = None

    def read(self) -> str | None:
        """The secret, without surrounding white space; None where it is absent or empty.

        Raises PermissionError where others than its owner can read the file.
        """
        if self.env is not None:
            return os.environ.get(self.env, "").strip() or None
        path = self._path()
        if path is None or not path.is_file():
            return None
        if self.file is not None and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            raise PermissionError(f"{path} can be read by others than its owner (chmod 600 {path})")
        return path.read_text(encoding="utf-8").strip() or None

    def _path(self) -> Path | None:
        if self.file is not None:
            return Path(self.file).expanduser()
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        return Path(directory, self.credential) if directory and self.credential else None
