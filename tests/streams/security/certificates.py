"""Authorities and certificates made on the spot by openssl, for tests of TLS."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    cert: Path
    key: Path

    def together(self) -> Path:
        """Both in one file, as Kafka's PEM key stores are."""
        path = self.cert.with_suffix(".both.pem")
        path.write_text(self.key.read_text() + self.cert.read_text())
        path.chmod(0o600)
        return path


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
        new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        _openssl(*new, "-subj", f"/CN={name}", "-keyout", self.pair.key, "-out", self.pair.cert)

    @property
    def cert(self) -> Path:
        return self.pair.cert

    def issue(self, name: str, *, expired: bool = False, password: str | None = None) -> Pair:
        """A certificate of this authority for 127.0.0.1; its common name is `name`."""
        stem = self._folder / f"{name}{'-expired' if expired else ''}"
        pair = Pair(stem.with_suffix(".pem"), stem.with_suffix(".key"))
        request, extensions = stem.with_suffix(".csr"), stem.with_suffix(".ext")
        new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        lock = ["-nodes"] if password is None else ["-passout", f"pass:{password}"]
        _openssl(*new, *lock, "-subj", f"/CN={name}", "-keyout", pair.key, "-out", request)
        extensions.write_text("subjectAltName=IP:127.0.0.1\n")
        ca = ["-CA", self.pair.cert, "-CAkey", self.pair.key, "-CAcreateserial"]
        # Of a certificate that ends before it begins, the end counts: it is over since yesterday.
        days = ["-days", "-1"] if expired else ["-days", "2"]
        _openssl("x509", "-req", "-in", request, *ca, *days, "-extfile", extensions, "-out", pair.cert)
        return pair


def _openssl(*arguments: str | Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("certificates are made with the openssl command: apt install openssl")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
