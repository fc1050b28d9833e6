"""A mail server for tests, run as a process of its own: keeps every mail it is given, or misbehaves as told.

    python smtp_sink.py FOLDER '{"tls": "starttls", "certificate": "c.pem", "account": ["me", "secret"], …}'

It prints its port. Every mail it took becomes one line of FOLDER/mails.jsonl: {"from", "to", "account", "tls", "data"}.
`say` maps a step (connect, ehlo, auth, mail, rcpt, data, end) to what is answered there instead; `slow`, `hang` and
`drop` name a step at which it takes a second, falls silent or hangs up. At `end` the mail is kept first. `once`: only
the first connection is so. `no_null`: it takes no mail without an envelope sender.
It knows no 8BITMIME and refuses any byte that is not ASCII, bare line feeds and lines beyond 998 characters.
"""

import base64
import json
import socketserver
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

FOLDER, TOLD = Path(sys.argv[1]), json.loads(sys.argv[2])
WRITING = threading.Lock()


class Gone(Exception):
    """This conversation is over."""


class Conversation(socketserver.StreamRequestHandler):
    """One client."""

    def handle(self) -> None:
        self.account: str | None = None
        self.secure = TOLD.get("tls") == "implicit"
        self.script = {} if TOLD.get("once") and self.server.seen else TOLD  # type: ignore[attr-defined]
        self.server.seen = True  # type: ignore[attr-defined]
        try:
            if self.secure:
                self.encrypt()
            self.step("connect", "220 sink")
            while True:
                self.command(self.line())
        except (Gone, OSError):
            return

    def encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TOLD["certificate"])
        self.request = context.wrap_socket(self.request, server_side=True)
        self.connection = self.request
        self.setup()
        self.secure = True

    def line(self) -> bytes:
        line = self.rfile.readline(1100)
        if not line:
            raise Gone
        return line

    def say(self, *lines: str) -> None:
        for number, line in enumerate(lines):
            code, words = line[:3], line[4:]
            self.wfile.write(f"{code}{' ' if number == len(lines) - 1 else '-'}{words}\r\n".encode())

    def step(self, name: str, *usual: str) -> bool:
        """Answer as usual or as told; whether it was as usual."""
        if self.script.get("slow") == name:
            time.sleep(1.0)
        if self.script.get("hang") == name:
            time.sleep(60)
            raise Gone
        if self.script.get("drop") == name:
            raise Gone
        other = self.script.get("say", {}).get(name)
        self.say(*([other] if other else usual))
        if name == "connect" and other:
            raise Gone
        return other is None

    def command(self, line: bytes) -> None:
        verb, _, rest = line.decode("ascii").strip().partition(" ")
        match verb.upper():
            case "EHLO":
                offers = ["250 sink"]
                if TOLD.get("tls") == "starttls" and not self.secure:
                    offers.append("250 STARTTLS")
                elif "account" in TOLD:
                    offers.append("250 AUTH PLAIN LOGIN")
                self.step("ehlo", *offers)
            case "STARTTLS":
                self.say("220 go")
                self.encrypt()
            case "AUTH":
                wanted = "\0" + "\0".join(TOLD["account"])
                given = base64.b64decode(rest.removeprefix("PLAIN ")).decode() if rest.startswith("PLAIN ") else ""
                if given != wanted:
                    self.say("535 5.7.8 no")
                elif self.step("auth", "235 yes"):
                    self.account = TOLD["account"][0]
            case "MAIL":
                self.sender, self.to = rest, []
                if "account" in TOLD and self.account is None:
                    self.say("530 5.7.0 sign in first")
                elif TOLD.get("no_null") and rest == "FROM:<>":
                    self.say("550 5.7.1 who are you")
                else:
                    self.step("mail", "250 ok")
            case "RCPT":
                if self.step("rcpt", "250 ok"):
                    self.to.append(rest)
            case "DATA":
                if self.step("data", "354 go on"):
                    self.take()
            case "QUIT":
                self.say("221 bye")
                raise Gone
            case _:
                self.say("250 ok")

    def take(self) -> None:
        lines = []
        while (line := self.line()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        if not all(each.isascii() and each.endswith(b"\r\n") and len(each) <= 1000 for each in lines):
            self.say("554 5.6.0 not a clean mail")
            return
        refused = self.script.get("say", {}).get("end")
        if not refused:
            kept: dict[str, Any] = {"from": self.sender, "to": self.to, "account": self.account, "tls": self.secure}
            with WRITING, (FOLDER / "mails.jsonl").open("a") as file:
                file.write(json.dumps({**kept, "data": b"".join(lines).decode("ascii")}) + "\n")
        self.step("end", "250 2.0.0 taken")


class Server(socketserver.ThreadingTCPServer):
    """Many clients at once."""

    daemon_threads = True
    allow_reuse_address = True
    seen = False


with Server(("127.0.0.1", 0), Conversation) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
