"""A secret is kept as the place where it can be read, never as text in the configuration."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


class SecretError(Exception):
    """A secret that cannot be used. The message names its place and the way out, never what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Exactly one of the three: `{ env = "NAME" }`, `{ file = "/path" }`, `{ credential = "name" }` (systemd)."""

    env: str | None = None
    file: str | None = None
    credential: str | None = None

    @property
    def place(self) -> str:
        """Where it is to be read, for people."""
        return f"${self.env}" if self.env is not None else self.file or f"the credential {self.credential}"

    def read(self) -> str | None:
        """The secret, without surrounding white space; None where it is absent or empty.

        Raises SecretError where others than its owner can read the file, or where it cannot be read as text.
        """
        if self.env is not None:
            return os.environ.get(self.env, "").strip() or None
        try:
            path = self._path()
            if path is None or not path.exists():
                return None
            if not path.is_file():
                raise SecretError(f"{path} is not a file")
            if self.file is not None and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
                raise SecretError(f"{path} can be read by others than its owner (chmod 600 {path})")
            return path.read_text(encoding="utf-8").strip() or None
        except UnicodeDecodeError:
            raise SecretError(f"{self.place} is not UTF-8 text") from None
        except OSError as error:
            raise SecretError(f"{self.place} cannot be read: {error.strerror or error}") from None
        except (RuntimeError, ValueError) as error:  # no such user; a name that no file can have
            raise SecretError(f"{self.place} names no file: {error}") from None

    def _path(self) -> Path | None:
        if self.file is not None:
            return Path(self.file).expanduser()
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        return Path(directory, self.credential) if directory and self.credential else None
