"""What the tests of stored files share: a small table, and the ways in which others use, leave and damage its file."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from fusiond.store.database import Database, Schema

NUMBERS = Schema(version=1, create="CREATE TABLE numbers (n INTEGER PRIMARY KEY, word TEXT NOT NULL)", holds="every number")
INSERT = "INSERT INTO numbers VALUES (?, ?)"
ALL = "SELECT n FROM numbers ORDER BY rowid"


@asynccontextmanager
async def opened(path: Path, schema: Schema = NUMBERS, *, durable: bool = True, limit: int | None = None) -> AsyncIterator[Database]:
    """A database that is open, and closed in the end."""
    store = Database(path, schema, durable=durable, limit=limit)
    store.open()
    try:
        yield store
    finally:
        await store.aclose()


@contextmanager
def mounted(where: Path, options: str) -> Iterator[None]:
    """A file system of its own, where this user may mount one."""
    where.mkdir()
    mount = shutil.which("mount")
    if (
        not mount
        or os.geteuid()
        or subprocess.run([mount, "-t", "tmpfs", "-o", options, "none", str(where)], capture_output=True, check=False).returncode
    ):
        pytest.skip("only root on Linux can mount a small file system")
    try:
        yield
    finally:
        subprocess.run([shutil.which("umount") or "", str(where)], check=True)


@contextmanager
def elsewhere(path: Path, sql: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """Another program that uses the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)
        yield connection


def rows(path: Path, sql: str = ALL) -> list[tuple[object, ...]]:
    """What another program reads in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def prints(path: Path) -> dict[str, str]:
    """All that lies in the directory of the file but its lock and the index of its log, by name."""
    found = {name.name: name for name in path.parent.iterdir() if name.is_file() and not name.name.endswith((".lock", "-shm"))}
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in found.items()}
