"""A mail server of one's own for a test: starts `smtp_sink.py` and reads what it was given."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

SENDER = ("Tổng đài 1022", "1022@tinh.example")


@dataclass
class Sink:
    """A running one."""

    folder: Path
    port: int

    def taken(self) -> list[dict[str, Any]]:
        """Envelope and raw text of every mail it took."""
        file = self.folder / "mails.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def mails(self, to: str = "") -> list[EmailMessage]:
        """The mails it took, as a mail program reads them; `to` narrows by the envelope."""
        taken = [each for each in self.taken() if to in each["to"][0]]
        return [message_from_string(each["data"], policy=default) for each in taken]

    def forget(self) -> None:
        """Empty it."""
        (self.folder / "mails.jsonl").unlink(missing_ok=True)


@contextmanager
def sink(folder: Path, **told: Any) -> Iterator[Sink]:
    """A mail server that behaves as told."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, str(Path(__file__).with_name("smtp_sink.py")), str(folder), json.dumps(told)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield Sink(folder, int(process.stdout.readline()))
        finally:
            process.kill()


def certificate(folder: Path, name: str) -> Path:
    """A certificate for a host name, signed by itself, and its key in one file. Made by the openssl that is there."""
    made = folder / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", made, "-out",
         f"{made}.crt", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())
    return made
