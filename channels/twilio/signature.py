"""Whether a request is Twilio's: its signature over the public address and every field, for messages and calls alike.

The computation is Twilio's own; the comparison takes the same time wherever the signatures differ. What is signed is
the address as Twilio knows it, with its query as it was sent, so `hook.url` must be built from PUBLIC_URL and not from
what a proxy says. Twilio is not consistent about the port in it, so both ways of writing it count.
"""

import hashlib
import hmac
from urllib.parse import parse_qs, urlparse

from twilio.request_validator import RequestValidator, add_port, remove_port

from channels.adapter import BadSignature, Hook
from channels.twilio.form import Fields, form

HEADER = "x-twilio-signature"


def verify(hook: Hook, auth_token: str) -> None:
    """BadSignature unless it was signed with the account's primary token.

    A form is signed with its fields. A body of any other kind is vouched for by its hash in the address, which then
    must fit.
    """
    given = next((value for name, value in hook.headers.items() if name.lower() == HEADER), "").strip()
    if not given:
        raise BadSignature("no X-Twilio-Signature")
    fields = form(hook.body)
    address = urlparse(hook.url)
    promised = parse_qs(address.query).get("bodySHA256")
    if promised:
        actual = hashlib.sha256(hook.body).hexdigest()
        if not hmac.compare_digest(actual.encode(), promised[0].lower().encode()):
            raise BadSignature("the body is not the one that was signed")
        fields = Fields(())
    validator = RequestValidator(auth_token)
    written = {hook.url, add_port(address), remove_port(address)}
    expected = [str(validator.compute_signature(each, fields)) for each in sorted(written)]
    fits = [hmac.compare_digest(each.encode(), given.encode("utf-8", "replace")) for each in expected]
    if not any(fits):
        raise BadSignature("the signature does not fit")
