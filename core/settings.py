"""Settings of the centre, read from the environment (prefix HOTLINE_) or `.env`."""

import ipaddress
import os
import re
import secrets
from email.utils import parseaddr
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_RATES = {"report": (30, 60), "key": (10, 300), "login": (10, 300)}
SMTP_PORTS = {"starttls": 587, "implicit": 465, "none": 25}  # submission (RFC 6409, RFC 8314), relay


class Settings(BaseSettings):
    """Every setting with its meaning; `main.py doctor` prints them."""

    model_config = SettingsConfigDict(env_prefix="HOTLINE_", env_file=".env", extra="ignore", hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", description="Address the web process listens on")
    port: int = Field(default=8022, ge=1, le=65535, description="Port the web process listens on")
    public_url: str = Field(default="http://127.0.0.1:8022", description="Address citizens and vendors reach us at")
    trusted_proxies: str = Field(
        default="", description="Proxy addresses whose X-Forwarded-For is believed, comma separated"
    )
    rate_limits: str = Field(
        default="report=30/60,key=10/300,login=10/300", description="'off' or name=count/seconds, …"
    )
    code_prefix: str = Field(default="BP", pattern=r"^[A-Z]{1,4}$", description="Letters in front of case codes")
    database_url: str | None = Field(
        default=None, description="PostgreSQL 15 or newer; absent: embedded under DATA_DIR"
    )
    database_direct_url: str | None = Field(
        default=None, description="Same database without a transaction pooler, for LISTEN"
    )
    database_pool: int = Field(default=10, ge=2, le=100, description="Connections a process keeps, twice")
    postgres_bin: Path | None = Field(
        default=None, description="Folder of the PostgreSQL binaries for the embedded server"
    )
    data_dir: Path = Field(
        default=Path("data"), description="Folder for the embedded database, files and the secret key"
    )
    files_url: str | None = Field(default=None, description="Where attachments are kept; absent: DATA_DIR/files")
    secret_key: str | None = Field(
        default=None, min_length=32, description="Tracking keys, tokens and signatures derive from it"
    )
    timezone: str = Field(default="Asia/Ho_Chi_Minh", description="Local time of people and of day buckets")
    language: Literal["vi", "en"] = Field(default="vi", description="Language where a reader names none")
    demo_password: str | None = Field(
        default=None, min_length=8, description="Password of the demo accounts; absent: random"
    )
    demo_cases: bool = Field(default=True, description="Whether the demo has cases of the last two weeks")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="What is logged")
    smtp_host: str | None = Field(default=None, description="Mail server that takes our e-mail; absent: no e-mail")
    smtp_port: int | None = Field(
        default=None, ge=1, le=65535, description="Its port; absent: 587 for starttls, 465 for implicit, 25 for none"
    )
    smtp_user: str | None = Field(default=None, description="Account there; absent: it takes our mail without one")
    smtp_password: str | None = Field(default=None, description="Password of that account")
    smtp_from: str | None = Field(default=None, description="Sender, as 1022@example.vn or 'Tổng đài 1022 <1022@…>'")
    smtp_tls: Literal["starttls", "implicit", "none"] = Field(
        default="starttls", description="Encryption: starttls, implicit (from the first byte) or none"
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {value}") from None
        return value

    @field_validator("files_url")
    @classmethod
    def _local_files(cls, value: str | None) -> str | None:
        if value and not value.startswith("file:///"):
            raise ValueError("FILES_URL must be file:///folder")
        return value

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _postgresql(cls, value: str | None) -> str | None:
        if value and not value.startswith(("postgresql://", "postgresql+asyncpg://")):
            raise ValueError("must look like postgresql://user:password@host/database")
        return value

    @field_validator("rate_limits")
    @classmethod
    def _rates_read(cls, value: str) -> str:
        parse_rates(value)
        return value

    @field_validator("smtp_host", "smtp_port", "smtp_user", "smtp_password", "smtp_from", "smtp_tls", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any, info: ValidationInfo) -> Any:
        """`HOTLINE_SMTP_HOST=` in a Compose file means that there is none."""
        if isinstance(value, str) and not value.strip():
            return cls.model_fields[info.field_name or ""].default
        return value

    @field_validator("smtp_host")
    @classmethod
    def _host_alone(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", value):
            try:
                ipaddress.ip_address(value)
            except ValueError:
                raise ValueError("must be a host name alone; the port goes into SMTP_PORT") from None
        return value

    @field_validator("smtp_user", "smtp_password")
    @classmethod
    def _ascii(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isprintable()):
            raise ValueError("may hold printable ASCII only: the protocol carries nothing else")
        return value

    @field_validator("smtp_from")
    @classmethod
    def _one_sender(cls, value: str | None) -> str | None:
        if value is not None and parse_sender(value) is None:
            raise ValueError("must be one address, as 1022@example.vn or 'Tổng đài 1022 <1022@example.vn>'")
        return value

    @model_validator(mode="after")
    def _smtp_whole(self) -> Self:
        if self.smtp_host is None:
            return self
        if self.smtp_from is None:
            raise ValueError("SMTP_HOST is set but SMTP_FROM is not: mail needs a sender")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("SMTP_USER and SMTP_PASSWORD belong together: one of them is not set")
        if self.smtp_user is not None and self.smtp_tls == "none" and not _is_here(self.smtp_host):
            raise ValueError("SMTP_TLS is none: SMTP_PASSWORD would travel in the open to another machine")
        return self

    @model_validator(mode="after")
    def _secret_for_real_database(self) -> Self:
        if self.database_url and not self.secret_key:
            raise ValueError("DATABASE_URL is set but SECRET_KEY is not: tracking keys would change at every start")
        return self

    @property
    def smtp_sender(self) -> tuple[str, str]:
        """Name (may be empty) and address that our mail comes from."""
        return parse_sender(self.smtp_from or "") or ("", "")

    @property
    def smtp_at(self) -> int:
        """The mail server's port."""
        return self.smtp_port or SMTP_PORTS[self.smtp_tls]

    @property
    def zone(self) -> ZoneInfo:
        """The centre's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def rates(self) -> dict[str, tuple[int, int]]:
        """Throttles as name → (count, seconds); empty when off."""
        return parse_rates(self.rate_limits)

    @property
    def files_dir(self) -> Path:
        """Folder attachments are kept in."""
        return Path(self.files_url.removeprefix("file://")) if self.files_url else self.data_dir / "files"

    @property
    def key(self) -> bytes:
        """The secret key: the setting, else one made once and kept in DATA_DIR."""
        return (self.secret_key or _kept_key(self.data_dir.resolve())).encode()


def parse_sender(text: str) -> tuple[str, str] | None:
    """`Tổng đài 1022 <1022@example.vn>` → (name, address); None unless it is exactly one plain address."""
    if not text.isprintable():
        return None
    name, address = parseaddr(text)
    bare = re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", address)
    return (name, address) if bare and text.count("@") == 1 else None


def _is_here(host: str) -> bool:
    """Whether this name is the machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_rates(text: str) -> dict[str, tuple[int, int]]:
    """`report=30/60,key=10/300` → {"report": (30, 60), …}; `off` → {}. ValueError names what is wrong."""
    if text.strip() == "off":
        return {}
    rates = dict(DEFAULT_RATES)
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, value = part.partition("=")
        count, _, seconds = value.partition("/")
        if name not in DEFAULT_RATES or not count.isdigit() or not seconds.isdigit() or not int(seconds):
            raise ValueError(f"RATE_LIMITS: {part!r} is not one of report, key, login = count/seconds")
        rates[name] = (int(count), int(seconds))
    return rates


@cache
def _kept_key(data_dir: Path) -> str:
    path = data_dir / "secret_key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        draft = data_dir / f".secret_key.{os.getpid()}"
        draft.write_text(secrets.token_urlsafe(48))
        draft.chmod(0o600)
        try:
            os.link(draft, path)  # the first process wins; a rename would let a second one replace the key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
