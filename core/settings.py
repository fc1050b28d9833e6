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

DEFAULT_RATES = {"report": (30, 60), "key": (10, 300), "login": (10, 300), "code": (5, 3600), "open311": (300, 60)}
SMTP_PORTS = {"starttls": 587, "implicit": 465, "none": 25}  # submission (RFC 6409, RFC 8314), relay
IMAP_PORTS = {"implicit": 993, "starttls": 143, "none": 143}  # RFC 8314, RFC 9051


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
        default="report=30/60,key=10/300,login=10/300,code=5/3600,open311=300/60",
        description="'off' or name=count/seconds, …",
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
    open311_keys: str | None = Field(
        default=None, description="Keys of Open311 clients, as name:key,name:key; without a key they are throttled"
    )
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
    imap_host: str | None = Field(default=None, description="Mail server that keeps our mailbox; absent: none is read")
    imap_port: int | None = Field(
        default=None, ge=1, le=65535, description="Its port; absent: 993 for implicit, 143 for starttls and none"
    )
    imap_user: str | None = Field(default=None, description="Account of the mailbox, as a rule its address")
    imap_password: str | None = Field(default=None, description="Password of that account")
    imap_folder: str = Field(default="INBOX", description="Folder of the mailbox that mail is taken from")
    imap_tls: Literal["implicit", "starttls", "none"] = Field(
        default="implicit", description="Encryption: implicit (from the first byte), starttls or none"
    )
    imap_plus: bool = Field(
        default=True, description="Mail to name+anything@ reaches the mailbox: answers then name their case"
    )
    twilio_account_sid: str | None = Field(
        default=None, description="Twilio account (AC…); absent: no SMS and no calls by Twilio"
    )
    twilio_auth_token: str | None = Field(default=None, description="Its primary token, which signs webhooks")
    twilio_api_key: str | None = Field(default=None, description="API key (SK…) to sign in with; absent: the token")
    twilio_api_secret: str | None = Field(default=None, description="Secret of that key")
    twilio_twiml_app_sid: str | None = Field(default=None, description="TwiML app (AP…) of the agents' softphones")
    twilio_number: str | None = Field(default=None, description="Number or name that our SMS come from, as +84…")
    twilio_api_url: str = Field(
        default="https://api.twilio.com", description="Where Twilio's interface is: scheme, host, perhaps a prefix"
    )
    recordings_days: int = Field(
        default=365, ge=1, le=3650, description="How long recordings of calls are kept, in days"
    )
    menu_file: Path | None = Field(default=None, description="Voice menu (YAML); absent: the shipped one")
    facebook_page_id: str | None = Field(default=None, description="Facebook page (its number); absent: no Facebook")
    facebook_page_token: str | None = Field(default=None, description="Page token that does not run out")
    facebook_app_secret: str | None = Field(default=None, description="Secret of our app, which signs webhooks")
    facebook_verify_token: str | None = Field(default=None, description="Words of ours that the subscription repeats")
    facebook_graph_url: str = Field(
        default="https://graph.facebook.com", description="Where the Graph API is: scheme, host, perhaps a prefix"
    )
    telegram_token: str | None = Field(default=None, description="Token of the bot (123456:ABC…); absent: no Telegram")
    telegram_secret_token: str | None = Field(
        default=None, description="Secret of ours that Telegram repeats with every webhook"
    )
    telegram_api_url: str = Field(
        default="https://api.telegram.org", description="Where the Bot API is: scheme, host, perhaps a prefix"
    )

    zalo_app_id: str | None = Field(default=None, description="Id of our app at Zalo; absent: no Zalo")
    zalo_app_secret: str | None = Field(default=None, description="Secret key of the app")
    zalo_oa_id: str | None = Field(default=None, description="Id of our Official Account")
    zalo_oa_secret_key: str | None = Field(
        default=None, description="OA Secret Key of the app's webhook page, which signs events; not the app's secret"
    )
    zalo_refresh_token: str | None = Field(
        default=None, description="Refresh token of the last consent; used once, then kept and renewed by ourselves"
    )
    zalo_template_id: str | None = Field(
        default=None, description="Template for messages after the 7 days; absent: none are sent"
    )
    zalo_api_url: str = Field(default="https://openapi.zalo.me", description="Address of Zalo's OA interface")
    zalo_oauth_url: str = Field(default="https://oauth.zaloapp.com", description="Address of Zalo's OAuth")
    zalo_business_url: str = Field(
        default="https://business.openapi.zalo.me", description="Address of Zalo's templates to telephone numbers"
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {value}") from None
        return value

    @field_validator("menu_file", mode="before")
    @classmethod
    def _empty_menu_is_absent(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

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

    @field_validator("open311_keys")
    @classmethod
    def _keys_read(cls, value: str | None) -> str | None:
        parse_keys(value or "")
        return value

    @field_validator(
        "smtp_host", "smtp_port", "smtp_user", "smtp_password", "smtp_from", "smtp_tls",
        "imap_host", "imap_port", "imap_user", "imap_password", "imap_folder", "imap_tls", "imap_plus",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _empty_is_absent(cls, value: Any, info: ValidationInfo) -> Any:
        """`HOTLINE_SMTP_HOST=` in a Compose file means that there is none."""
        if isinstance(value, str) and not value.strip():
            return cls.model_fields[info.field_name or ""].default
        return value

    @field_validator("smtp_host", "imap_host")
    @classmethod
    def _host_alone(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", value):
            try:
                ipaddress.ip_address(value)
            except ValueError:
                port = (info.field_name or "").replace("host", "port").upper()
                raise ValueError(f"must be a host name alone; the port goes into {port}") from None
        return value

    @field_validator("smtp_user", "smtp_password", "imap_user", "imap_password")
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
    def _imap_whole(self) -> Self:
        if self.imap_host is None:
            return self
        if self.imap_user is None or self.imap_password is None:
            raise ValueError("IMAP_HOST is set but IMAP_USER or IMAP_PASSWORD is not: a mailbox needs both")
        if self.imap_tls == "none" and not _is_here(self.imap_host):
            raise ValueError("IMAP_TLS is none: IMAP_PASSWORD would travel in the open to another machine")
        if not self.imap_account:
            raise ValueError("IMAP_USER is no address and SMTP_FROM is not set: which address does the mailbox have?")
        return self

    @field_validator(
        "twilio_account_sid", "twilio_auth_token", "twilio_api_key", "twilio_api_secret", "twilio_twiml_app_sid",
        "twilio_number", "twilio_api_url",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _empty_twilio_is_absent(cls, value: Any, info: ValidationInfo) -> Any:
        plain = value.strip() if isinstance(value, str) else value
        return cls.model_fields[info.field_name or ""].default if plain == "" else plain

    @field_validator("twilio_number")
    @classmethod
    def _one_number(cls, value: str | None) -> str | None:
        packed = re.sub(r"[\s().-]+", "", value or "")
        if value is None or re.fullmatch(r"\+[1-9][0-9]{7,14}|[0-9]{3,8}", packed):
            return packed or None
        if not re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9 ._-]{1,11}", value):
            raise ValueError("must be a number such as +842711022, a short code, or a name of at most 11 letters")
        return value

    @field_validator("twilio_api_url")
    @classmethod
    def _twilio_base(cls, value: str) -> str:
        found = re.fullmatch(r"(https?)://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[^\s?#]*)?", value)
        if found is None:
            raise ValueError("must be scheme and host, perhaps with a prefix, as https://api.twilio.com")
        if found[1] == "http" and not _is_here(found[2].strip("[]")):
            raise ValueError("must be https: TWILIO_AUTH_TOKEN would travel in the open to another machine")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _twilio_whole(self) -> Self:
        named = ("account_sid", "auth_token", "number")
        missing = [name for name in named if getattr(self, f"twilio_{name}") is None]
        key = (self.twilio_api_key, self.twilio_api_secret)
        if missing and (len(missing) < len(named) or any(key) or self.twilio_twiml_app_sid):
            lacking = " and ".join(f"TWILIO_{name.upper()}" for name in missing)
            raise ValueError(f"a TWILIO_ setting is there but {lacking} is not: the channel needs all of them")
        if (key[0] is None) != (key[1] is None):
            raise ValueError("TWILIO_API_KEY and TWILIO_API_SECRET belong together: one of them is not set")
        return self

    @field_validator(
        "facebook_page_id", "facebook_page_token", "facebook_app_secret", "facebook_verify_token", "facebook_graph_url",
        "telegram_token", "telegram_secret_token", "telegram_api_url",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _empty_page_or_bot_is_absent(cls, value: Any, info: ValidationInfo) -> Any:
        plain = value.strip() if isinstance(value, str) else value
        return cls.model_fields[info.field_name or ""].default if plain == "" else plain

    @field_validator("facebook_page_id")
    @classmethod
    def _a_number(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9]{1,25}", value):
            raise ValueError("must be the number that Facebook shows")
        return value

    @field_validator("facebook_graph_url", "telegram_api_url")
    @classmethod
    def _page_or_bot_base(cls, value: str, info: ValidationInfo) -> str:
        found = re.fullmatch(r"(https?)://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[^\s?#]*)?", value)
        if found is None:
            default = cls.model_fields[info.field_name or ""].default
            raise ValueError(f"must be scheme and host, perhaps with a prefix, as {default}")
        if found[1] == "http" and not _is_here(found[2].strip("[]")):
            raise ValueError("must be https: our token would travel in the open to another machine")
        return value.rstrip("/")

    @field_validator("telegram_token")
    @classmethod
    def _a_bots_token(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,100}", value):
            raise ValueError("must look like 123456:ABC…, as BotFather gives it")
        return value

    @field_validator("telegram_secret_token")
    @classmethod
    def _a_secret_telegram_takes(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", value):
            raise ValueError("may hold letters, digits, _ and - only, at most 256 of them")
        return value

    @model_validator(mode="after")
    def _page_and_bot_whole(self) -> Self:
        for names in (
            ("facebook_page_id", "facebook_page_token", "facebook_app_secret", "facebook_verify_token"),
            ("telegram_token", "telegram_secret_token"),
        ):
            missing = [name.upper() for name in names if getattr(self, name) is None]
            if missing and len(missing) < len(names):
                channel = names[0].partition("_")[0].upper()
                raise ValueError(f"a {channel}_ setting is there but {' and '.join(missing)} is not: all are needed")
        return self

    @field_validator(
        "zalo_app_id", "zalo_app_secret", "zalo_oa_id", "zalo_oa_secret_key", "zalo_refresh_token", "zalo_template_id",
        "zalo_api_url", "zalo_oauth_url", "zalo_business_url", mode="before",
    )  # fmt: skip
    @classmethod
    def _zalo_empty_is_absent(cls, value: Any, info: ValidationInfo) -> Any:
        """`HOTLINE_ZALO_APP_ID=` in a Compose file means that there is none; ids copied from a page have edges."""
        if isinstance(value, str):
            return value.strip() or cls.model_fields[info.field_name or ""].default
        return value

    @field_validator("zalo_api_url", "zalo_oauth_url", "zalo_business_url")
    @classmethod
    def _zalo_address(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", value):
            raise ValueError("must be scheme, host and perhaps a prefix, as https://openapi.zalo.me")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _zalo_whole(self) -> Self:
        needed = ("zalo_app_id", "zalo_app_secret", "zalo_oa_id", "zalo_oa_secret_key", "zalo_refresh_token")
        missing = [name.upper() for name in needed if getattr(self, name) is None]
        if missing and (len(missing) < len(needed) or self.zalo_template_id):
            raise ValueError(f"Zalo is configured by half: {', '.join(missing)} is not set")
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
    def imap_at(self) -> int:
        """The port of the server with our mailbox."""
        return self.imap_port or IMAP_PORTS[self.imap_tls]

    @property
    def imap_account(self) -> str:
        """The address of our mailbox: the account's name where that is one, else what our mail comes from."""
        found = parse_sender(self.imap_user or "")
        return (found[1] if found else self.smtp_sender[1]).lower()

    @property
    def twilio_key(self) -> tuple[str, str] | None:
        """The API key and its secret, where one is to be used."""
        found = (self.twilio_api_key, self.twilio_api_secret)
        return (found[0], found[1]) if found[0] and found[1] else None

    @property
    def zone(self) -> ZoneInfo:
        """The centre's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def rates(self) -> dict[str, tuple[int, int]]:
        """Throttles as name → (count, seconds); empty when off."""
        return parse_rates(self.rate_limits)

    @property
    def open311_clients(self) -> dict[str, str]:
        """Name → key of the Open311 clients we know."""
        return parse_keys(self.open311_keys or "")

    @property
    def files_dir(self) -> Path:
        """Folder attachments are kept in."""
        return Path(self.files_url.removeprefix("file://")) if self.files_url else self.data_dir / "files"

    @property
    def spool_dir(self) -> Path:
        """Folder that keeps what the database could not take."""
        return self.data_dir / "spool"

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
            raise ValueError(f"RATE_LIMITS: {part!r} is not one of {', '.join(DEFAULT_RATES)} = count/seconds")
        rates[name] = (int(count), int(seconds))
    return rates


def parse_keys(text: str) -> dict[str, str]:
    """`city-app:…,website:…` → {"city-app": …}. ValueError names the client whose key cannot be, never the key."""
    keys: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, key = part.partition(":")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", name):
            raise ValueError("each part is name:key, the name of letters, digits, '.', '_' and '-'")
        if not re.fullmatch(r"[\x21-\x7e]{16,200}", key):
            raise ValueError(f"the key of {name} must have 16 to 200 printable ASCII characters")
        if name in keys or key in keys.values():
            raise ValueError(f"{name} or its key is there twice")
        keys[name] = key
    return keys


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
