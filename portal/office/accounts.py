"""Who a session, a token or a one-time code stands for. Secrets leave here once, at birth."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, delete, select, update

from portal.access import Role, Viewer
from portal.errors import TooManyError
from portal.office.tables import CODES, OFFICE, PEOPLE, SESSIONS, TOKENS, TRIES
from portal.read.tables import put, writing

SECRET_BYTES: Final = 20
CODE_BYTES: Final = 10
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
SESSION_IDLE_MS: Final = 12 * HOUR_MS
SESSION_MS: Final = 7 * DAY_MS
CODE_MS: Final = 3 * DAY_MS
SEEN_EVERY_MS: Final = MINUTE_MS
TRIES_A_MINUTE: Final = 10
TOKEN_PREFIX: Final = "wharf_"  # noqa: S105  # what a token begins with
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person of an organisation (its party id, hex)."""

    id: str
    organisation: str
    name: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Opened:
    """A session at its birth: the secret goes into the cookie and is held nowhere else."""

    secret: str
    person: Person


def digest_of(secret: str) -> str:
    """What is held of a secret: it is random and long, so a plain SHA-256 keeps it."""
    return hashlib.sha256(b"wharf/secret/1" + secret.encode()).hexdigest()


class AccountDesk:
    """Accounts in the office database. clock_ms: UTC since 1970; random_bytes: of a number."""

    def __init__(
        self, engine: Engine, clock_ms: Callable[[], int], random_bytes: Callable[[int], bytes]
    ) -> None:
        self.engine, self._clock_ms, self._random_bytes = engine, clock_ms, random_bytes
        OFFICE.create_all(engine)

    def _secret(self, size: int) -> str:
        number = int.from_bytes(self._random_bytes(size))
        letters = ""
        while number:
            number, index = divmod(number, len(_ALPHABET))
            letters += _ALPHABET[index]
        return letters

    # People ---------------------------------------------------------------------------------

    def add_person(self, organisation: str, name: str, roles: Iterable[Role]) -> Person:
        """A new person of an organisation; nobody signs in as them before a code is used."""
        person = Person(
            id=self._random_bytes(8).hex(),
            organisation=organisation,
            name=name,
            roles=frozenset(roles),
        )
        row = {
            "id": person.id,
            "organisation": organisation,
            "name": name,
            "roles": _words(person.roles),
            "since_ms": self._clock_ms(),
        }
        with writing(self.engine) as db:
            put(db, PEOPLE, row)
        return person

    def end_person(self, viewer: Viewer, person_id: str) -> bool:
        """Ends a person of the viewer's organisation with all sessions; False where it has none."""
        now = self._clock_ms()
        with writing(self.engine) as db:
            ended = db.execute(
                update(PEOPLE)
                .where(PEOPLE.c.id == person_id, PEOPLE.c.organisation == viewer.organisation)
                .values(ended_ms=now)
            )
            if ended.rowcount:
                db.execute(delete(SESSIONS).where(SESSIONS.c.person == person_id))
        return bool(ended.rowcount)

    def people(self, viewer: Viewer) -> list[Row[Any]]:
        """The people of the viewer's organisation, by name."""
        query = select(PEOPLE).where(PEOPLE.c.organisation == viewer.organisation)
        with self.engine.connect() as db:
            return list(db.execute(query.order_by(PEOPLE.c.name, PEOPLE.c.id)))

    # One-time codes -------------------------------------------------------------------------

    def new_code(self, person_id: str) -> str:
        """A code by which this person signs in once, within CODE_MS."""
        code = self._secret(CODE_BYTES)
        row = {
            "digest": digest_of(code),
            "person": person_id,
            "until_ms": self._clock_ms() + CODE_MS,
        }
        with writing(self.engine) as db:
            put(db, CODES, row)
        return code

    def use_code(self, code: str) -> Opened | None:
        """The session that a code opens; None for one that is unknown, used or too old."""
        now = self._clock_ms()
        with writing(self.engine) as db:
            used = db.execute(
                update(CODES)
                .where(
                    CODES.c.digest == digest_of(code.strip().lower()),
                    CODES.c.used_ms.is_(None),
                    CODES.c.until_ms > now,
                )
                .values(used_ms=now)
                .returning(CODES.c.person)
            ).scalar()
            return self._open(db, used) if used else None

    # Sessions -------------------------------------------------------------------------------

    def open_session(self, person_id: str) -> Opened | None:
        """A new session of a person who has shown who they are; None where they have ended."""
        with writing(self.engine) as db:
            return self._open(db, person_id)

    def _open(self, db: Connection, person_id: str) -> Opened | None:
        person = self._person(db, person_id)
        if person is None:
            return None
        now, secret = self._clock_ms(), self._secret(SECRET_BYTES)
        db.execute(delete(SESSIONS).where(SESSIONS.c.until_ms <= now))
        row = {
            "digest": digest_of(secret),
            "person": person_id,
            "csrf": self._secret(SECRET_BYTES),
            "since_ms": now,
            "seen_ms": now,
            "until_ms": now + SESSION_MS,
        }
        put(db, SESSIONS, row)
        return Opened(secret, person)

    def _person(self, db: Connection, person_id: str) -> Person | None:
        alive = (PEOPLE.c.id == person_id) & PEOPLE.c.ended_ms.is_(None)
        row = db.execute(select(PEOPLE).where(alive)).one_or_none()
        if row is None:
            return None
        return Person(
            id=row.id, organisation=row.organisation, name=row.name, roles=_roles(row.roles)
        )

    def viewer_of_session(self, secret: str) -> Viewer | None:
        """Whose session this is, if it has not ended and was used within SESSION_IDLE_MS."""
        now = self._clock_ms()
        query = select(SESSIONS).where(
            SESSIONS.c.digest == digest_of(secret),
            SESSIONS.c.until_ms > now,
            SESSIONS.c.seen_ms > now - SESSION_IDLE_MS,
        )
        with self.engine.connect() as db:
            row = db.execute(query).one_or_none()
            person = self._person(db, row.person) if row else None
        if row is None or person is None:
            return None
        if now - row.seen_ms > SEEN_EVERY_MS:
            with writing(self.engine) as db:
                mine = SESSIONS.c.digest == row.digest
                db.execute(update(SESSIONS).where(mine).values(seen_ms=now))
        return Viewer(
            organisation_id=bytes.fromhex(person.organisation),
            person_id=person.id,
            name=person.name,
            roles=person.roles,
            csrf=row.csrf,
        )

    def end_session(self, secret: str) -> None:
        """Ends a session; one that is not there is ended already."""
        with writing(self.engine) as db:
            db.execute(delete(SESSIONS).where(SESSIONS.c.digest == digest_of(secret)))

    # Tokens ---------------------------------------------------------------------------------

    def new_token(self, viewer: Viewer, name: str, roles: Iterable[Role], *, days: int) -> str:
        """A token by which a program acts for the viewer's organisation; shown this once."""
        token, now = TOKEN_PREFIX + self._secret(2 * SECRET_BYTES), self._clock_ms()
        row = {
            "digest": digest_of(token),
            "id": self._random_bytes(6).hex(),
            "organisation": viewer.organisation,
            "name": name,
            "roles": _words(roles),
            "since_ms": now,
            "until_ms": now + days * DAY_MS,
        }
        with writing(self.engine) as db:
            put(db, TOKENS, row)
        return token

    def end_token(self, viewer: Viewer, token_id: str) -> bool:
        """Ends a token of the viewer's organisation; False where it has none of this id."""
        mine = (TOKENS.c.id == token_id) & (TOKENS.c.organisation == viewer.organisation)
        with writing(self.engine) as db:
            ended = db.execute(update(TOKENS).where(mine).values(ended_ms=self._clock_ms()))
        return bool(ended.rowcount)

    def tokens(self, viewer: Viewer) -> list[Row[Any]]:
        """The tokens of the viewer's organisation, newest first."""
        query = select(TOKENS).where(TOKENS.c.organisation == viewer.organisation)
        with self.engine.connect() as db:
            return list(db.execute(query.order_by(TOKENS.c.since_ms.desc(), TOKENS.c.id)))

    def viewer_of_token(self, token: str) -> Viewer | None:
        """For whom a token acts, while it is valid."""
        query = select(TOKENS).where(
            TOKENS.c.digest == digest_of(token),
            TOKENS.c.ended_ms.is_(None),
            TOKENS.c.until_ms > self._clock_ms(),
        )
        with self.engine.connect() as db:
            row = db.execute(query).one_or_none()
        if row is None:
            return None
        return Viewer(
            organisation_id=bytes.fromhex(row.organisation),
            person_id=f"token:{row.id}",
            name=row.name,
            roles=_roles(row.roles),
            via_token=True,
        )

    # Rate limits ----------------------------------------------------------------------------

    def count_try(self, key: str, *, most: int = TRIES_A_MINUTE) -> None:
        """Counts one try under a key (who tries what); raises TooManyError above so many a
        minute.
        """
        now = self._clock_ms()
        window = now // MINUTE_MS
        with writing(self.engine) as db:
            db.execute(delete(TRIES).where(TRIES.c.window < window))
            count = db.execute(select(TRIES.c.count).where(TRIES.c.key == key)).scalar() or 0
            put(db, TRIES, {"key": key, "window": window, "count": count + 1})
        if count >= most:
            raise TooManyError(int((window + 1) * MINUTE_MS - now) // 1000 + 1)


def _words(roles: Iterable[Role]) -> str:
    return " ".join(sorted(role.value for role in roles))


def _roles(words: str) -> frozenset[Role]:
    return frozenset(Role(item) for item in words.split())
