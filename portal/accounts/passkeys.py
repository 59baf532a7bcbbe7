"""Passkeys (WebAuthn level 2): asked for, made, and used to sign in. There are no passwords.

Signing in names nobody: the authenticator says who it is, so a stranger learns of no account.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Engine, select, update
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portal.access import Viewer
from portal.errors import ForbiddenError
from portal.office.tables import PASSKEYS
from portal.read.tables import put, writing

ASKED_MAX: Final = 1_000
ASKED_MS: Final = 5 * 60_000
CHALLENGE_BYTES: Final = 32
PASSKEYS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class _Asked:
    challenge: bytes
    person: str  # empty while signing in
    until_ms: int


class PasskeyDesk:
    """Passkeys of the people of one portal, which people reach at one address."""

    def __init__(
        self,
        office: Engine,
        address: str,
        *,
        clock_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._office, self._origin = office, address
        self._rp_id = urlsplit(address).hostname or ""
        self._clock_ms, self._random_bytes = clock_ms, random_bytes
        # Questions that nobody answers must not fill memory: the oldest go first.
        self._asked: OrderedDict[str, _Asked] = OrderedDict()

    def _ask(self, person: str) -> tuple[str, bytes]:
        ticket, challenge = self._random_bytes(16).hex(), self._random_bytes(CHALLENGE_BYTES)
        self._asked[ticket] = _Asked(challenge, person, self._clock_ms() + ASKED_MS)
        while len(self._asked) > ASKED_MAX:
            self._asked.popitem(last=False)
        return ticket, challenge

    def _answered(self, ticket: str, person: str) -> bytes:
        asked = self._asked.pop(ticket, None)
        if asked is None or asked.person != person or asked.until_ms < self._clock_ms():
            raise ForbiddenError("accounts.passkey_failed")
        return asked.challenge

    def ask_for_new(self, viewer: Viewer) -> dict[str, Any]:
        """What the browser needs to make a passkey for the viewer."""
        ticket, challenge = self._ask(viewer.person_id)
        options = generate_registration_options(
            rp_id=self._rp_id,
            rp_name="Wharfinger",
            user_id=bytes.fromhex(viewer.person_id),
            user_name=viewer.name,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=known) for known in self._known(viewer.person_id)
            ],
        )
        return {"ticket": ticket, "publicKey": json.loads(options_to_json(options))}

    def _known(self, person: str) -> list[bytes]:
        query = select(PASSKEYS.c.id).where(PASSKEYS.c.person == person)
        with self._office.connect() as office:
            return [bytes(row.id) for row in office.execute(query)]

    def add(self, viewer: Viewer, ticket: str, credential: dict[str, Any]) -> None:
        """Keeps the passkey that the browser made; raises ForbiddenError."""
        challenge = self._answered(ticket, viewer.person_id)
        if len(self._known(viewer.person_id)) >= PASSKEYS_MAX:
            raise ForbiddenError("accounts.passkey_failed")
        try:
            made = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self._rp_id,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError) as error:
            raise ForbiddenError("accounts.passkey_failed") from error
        row = {
            "id": made.credential_id,
            "person": viewer.person_id,
            "public_key": made.credential_public_key,
            "sign_count": made.sign_count,
            "since_ms": self._clock_ms(),
        }
        with writing(self._office) as office:
            taken = office.execute(select(PASSKEYS.c.id).where(PASSKEYS.c.id == row["id"])).first()
            if taken:
                raise ForbiddenError("accounts.passkey_failed")
            put(office, PASSKEYS, row)

    def ask_who(self) -> dict[str, Any]:
        """What the browser needs to say who is there."""
        ticket, challenge = self._ask("")
        options = generate_authentication_options(
            rp_id=self._rp_id,
            challenge=challenge,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return {"ticket": ticket, "publicKey": json.loads(options_to_json(options))}

    def who_is(self, ticket: str, credential: dict[str, Any]) -> str:
        """The person who answered; raises ForbiddenError, the same for every reason."""
        challenge = self._answered(ticket, "")
        try:
            key_id = base64url_to_bytes(str(credential["rawId"]))
            query = select(PASSKEYS).where(PASSKEYS.c.id == key_id)
            with self._office.connect() as office:
                row = office.execute(query).one_or_none()
            if row is None:
                raise ForbiddenError("accounts.passkey_failed")
            shown = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self._rp_id,
                expected_origin=self._origin,
                credential_public_key=bytes(row.public_key),
                credential_current_sign_count=row.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError) as error:
            raise ForbiddenError("accounts.passkey_failed") from error
        with writing(self._office) as office:
            mine = PASSKEYS.c.id == key_id
            office.execute(update(PASSKEYS).where(mine).values(sign_count=shown.new_sign_count))
        return str(row.person)
