"""One person over many channels: who is merged and parted again, who wants no messages, whose data are given up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from cases import likeness, lists, merging, people, person_file
from cases.arriving import Arrivals
from cases.citizens import phone_number
from cases.models import Case, Citizen, Entry, Identity
from cases.people_models import Consent, Merge, Withdrawal
from cases.reception import Reception
from cases.withdrawing import give_up_due
from channels import inbox
from channels.message import Address, InboundMessage
from channels.models import Outgoing, OutgoingPart, Received, Thread
from core.db import Database
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.ids import uuid7
from core.journal import Journal
from core.staff import SYSTEM, Actor, Role, Staff
from tests.factories import As, Clock, a_report, case_of, done, state
from web.deps import office_of
from web.state import State

AGENT = Actor("staff", roles=frozenset({Role.AGENT}))
INSPECTOR = Actor("staff", roles=frozenset({Role.INSPECTOR}))
OFFICER = Actor("staff", roles=frozenset({Role.OFFICER}), departments=frozenset({"so-xd"}))


OLD_NUMBERS = [
    # as people write it, as it is today
    ("0162 345 6789", "+84323456789"),
    ("01634567890", "+84334567890"),
    ("01644567890", "+84344567890"),
    ("01654567890", "+84354567890"),
    ("01664567890", "+84364567890"),
    ("01674567890", "+84374567890"),
    ("+84 168 456 7890", "+84384567890"),
    ("84 169 456 7890", "+84394567890"),
    ("01204567890", "+84704567890"),
    ("01214567890", "+84794567890"),
    ("01224567890", "+84774567890"),
    ("01264567890", "+84764567890"),
    ("01284567890", "+84784567890"),
    ("01234567890", "+84834567890"),
    ("01244567890", "+84844567890"),
    ("01254567890", "+84854567890"),
    ("01274567890", "+84814567890"),
    ("01294567890", "+84824567890"),
    ("01864567890", "+84564567890"),
    ("01884567890", "+84584567890"),
    ("01994567890", "+84594567890"),
    ("0651 381 2345", "+842713812345"),  # Bình Phước
    ("061 382 2222", "+842513822222"),  # Đồng Nai
    ("0650 3822222", "+842743822222"),
    ("04 3822 2222", "+842438222222"),
    ("0511 3822222", "+842363822222"),
    # what is of today stays: mobiles that begin like an old area code, new area codes, other countries
    ("0373 812 345", "+84373812345"),
    ("0543 812 345", "+84543812345"),
    ("0763 812 345", "+84763812345"),
    ("0271 381 2345", "+842713812345"),
    ("028 3822 2222", "+842838222222"),
    ("+1 650 253 0000", "+16502530000"),
]


@pytest.mark.parametrize(("written", "today"), OLD_NUMBERS)
def test_old_numbers_become_those_of_today(written: str, today: str) -> None:
    assert phone_number(written) == today
    assert phone_number(today) == today


A, B, C, D = (UUID(int=n) for n in range(1, 5))


@pytest.mark.parametrize(
    ("merges", "standing"),
    [
        ([], {}),
        ([(A, B)], {A: B, B: B}),
        ([(A, B), (B, C)], {A: C, B: C, C: C}),
        ([(A, B), (C, A)], {A: B, B: B, C: B}),  # into A, for whom B stands
        ([(A, B), (C, D)], {A: B, B: B, C: D, D: D}),
        ([(A, B), (C, D), (A, C)], {A: D, B: D, C: D, D: D}),
    ],
)
def test_the_one_merged_into_stands_for_all(merges: list[tuple[UUID, UUID]], standing: dict[UUID, UUID]) -> None:
    assert merging.stand_for(merges) == standing


@dataclass
class Street:
    """People of this test, whose numbers nobody else has, and what they do."""

    app: FastAPI
    client: AsyncClient
    clock: Clock
    mark: int = field(default_factory=lambda: uuid4().int % 10**6)
    events: dict[str, InboundMessage] = field(default_factory=dict)

    @property
    def here(self) -> State:
        return state(self.app)

    @property
    def database(self) -> Database:
        return self.here.database

    def phone(self, n: int) -> str:
        """The number of the n-th of them."""
        return f"+849{n}{self.mark:07d}"

    def zalo(self, n: int = 1) -> Address:
        return Address("zalo", f"{n}0{self.mark:07d}", "Lan")

    async def reports(self, n: int, **contact: str) -> str:
        """A report on the web by the n-th; its code."""
        code, _ = await a_report(self.client, contact={"name": "Trần Thị Lan", "phone": self.phone(n), **contact})
        return code

    async def hears(self, kind: str = "message", sender: Address | None = None, **members: Any) -> InboundMessage:
        """An event of a vendor, and the worker's work on it."""
        sender = sender or self.zalo()
        channel = members.pop("channel", {"phone": "sms"}.get(sender.scheme, sender.scheme))
        id = f"{len(self.events)}-{self.mark}"
        event = InboundMessage(channel, "account", id, kind, sender, raw="x", **members)
        self.events[id] = event
        async with self.database.transaction() as session:
            await inbox.accept(session, [event], self.clock())
        while await self.reception().round():
            pass
        return event

    def reception(self) -> Reception:
        async def office(session: Any) -> Arrivals:
            return Arrivals(office_of(self.here, await self.here.routing.get(session)))

        async def read(row: Received) -> list[InboundMessage]:
            return [self.events[row.external_id]]

        return Reception(self.database, read, office, self.clock)

    async def identity(self, who: Address) -> Identity | None:
        async with self.database.transaction() as session:
            found = select(Identity).where(Identity.scheme == who.scheme, Identity.handle == who.handle)
            return (await session.exec(found)).first()

    async def case(self, code: str) -> Case:
        async with self.database.transaction() as session:
            return await case_of(session, code)

    async def cases_by(self, who: Address) -> list[Case]:
        """The cases that state this address, oldest first."""
        async with self.database.transaction() as session:
            found = select(Case).where(col(Case.contact)[who.scheme].astext == who.handle).order_by(col(Case.id))
            return list((await session.exec(found)).all())

    async def merge(self, from_code: str, into_code: str) -> Merge:
        """Both reporters are one."""
        one, other = await self.case(from_code), await self.case(into_code)
        assert one.citizen_id
        assert other.citizen_id
        async with self.database.transaction() as session:
            return await merging.merge(session, SYSTEM, one.citizen_id, other.citizen_id, self.clock())

    async def undo(self, merge: Merge) -> None:
        async with self.database.transaction() as session:
            await merging.undo_merge(session, SYSTEM, merge.id, self.clock())

    async def suggested(self, code: str, who: Actor = AGENT) -> list[likeness.Suggestion]:
        case = await self.case(code)
        assert case.citizen_id
        async with self.database.transaction() as session:
            return await likeness.suggest(session, who, case.citizen_id)

    async def journal(self, kind: str) -> list[Journal]:
        async with self.database.transaction() as session:
            return list(
                (await session.exec(select(Journal).where(Journal.kind == kind).order_by(col(Journal.id)))).all()
            )


@pytest.fixture
async def street(app: FastAPI, client: AsyncClient, clock: Clock) -> AsyncIterator[Street]:
    """A street nobody has reported from yet."""
    here = state(app)
    before = here.adapters
    yield Street(app, client, clock)
    here.adapters = before


async def test_what_one_reports_under_a_merged_number_is_found_under_the_other(street: Street) -> None:
    first, second = await street.reports(1), await street.reports(2)
    made = await street.merge(second, first)
    async with street.database.transaction() as session:
        for n in (1, 2):
            found = await lists.cases_of_phone(session, AGENT, street.phone(n))
            assert {case.code for case in found} == {first, second}
        history = await lists.citizen_history(session, AGENT, await case_of(session, first))
        assert [case.code for case in history] == [second]
    assert made.moved["cases"] == [str((await street.case(second)).id)]
    third = await street.reports(2)
    await street.undo(made)
    async with street.database.transaction() as session:
        assert [case.code for case in await lists.cases_of_phone(session, AGENT, street.phone(1))] == [first]
        found = await lists.cases_of_phone(session, AGENT, street.phone(2))
        assert {case.code for case in found} == {second, third}  # what came meanwhile stays where it was written to


async def test_what_is_done_to_people_stands_in_the_journal_without_them(street: Street) -> None:
    first, second = await street.reports(1), await street.reports(2)
    await street.undo(await street.merge(second, first))
    for kind in ("person.merged", "person.unmerged"):
        row = (await street.journal(kind))[-1]
        assert row.subject
        assert street.phone(1)[3:] not in str(row.data)
        assert street.phone(2)[3:] not in str(row.data)


async def test_merging_each_into_the_other_at_once_ends_in_one_merge(street: Street) -> None:
    first, second = await street.reports(1), await street.reports(2)
    both = await asyncio.gather(street.merge(first, second), street.merge(second, first), return_exceptions=True)
    assert sorted(type(each).__name__ for each in both) == ["Conflict", "Merge"]
    one, other = (await street.case(first)).citizen_id, (await street.case(second)).citizen_id
    async with street.database.transaction() as session:
        pointers = {(await session.get_one(Citizen, id)).merged_into for id in (one, other) if id}
        assert None in pointers
        assert pointers - {None} <= {one, other}
        assert len(pointers) == 2


async def test_many_merges_at_once_never_make_a_circle_or_a_deadlock(street: Street) -> None:
    codes = [await street.reports(n) for n in range(4)]
    pairs = [(a, b) for a in codes for b in codes if a != b]
    ended = await asyncio.gather(*(street.merge(a, b) for a, b in pairs), return_exceptions=True)
    assert [each for each in ended if not isinstance(each, Merge | Conflict)] == []
    ids = {(await street.case(code)).citizen_id for code in codes}
    async with street.database.transaction() as session:
        rows = (await session.exec(select(Citizen).where(col(Citizen.id).in_(ids)))).all()
        standing = {row.id for row in rows if row.merged_into is None}
        assert all(row.merged_into is None or row.merged_into in standing for row in rows)


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 4)), max_size=14)


async def test_any_order_of_merges_and_undos_leaves_what_the_standing_merges_say(street: Street) -> None:
    """Nothing of a citizen, identity or case is changed by it, and undoing everything leaves what there was."""
    loop_database = street.database
    at = street.clock()

    async def live_through(steps: list[tuple[bool, int, int]]) -> None:
        async with loop_database.transaction() as session:
            citizens = [Citizen(id=uuid7(at), created_at=at) for _ in range(5)]
            session.add_all(citizens)
            await session.flush()
            ids = [each.id for each in citizens]
            session.add_all(
                Identity(id=uuid7(at), citizen_id=id, scheme="zalo", handle=uuid4().hex, seen_at=at) for id in ids
            )
            await session.flush()
            stand: list[Merge] = []
            for n, (undoes, first, second) in enumerate(steps):
                moment = at + timedelta(seconds=n)
                before = await pointers(session, ids)
                if undoes and stand:
                    await merging.undo_merge(session, SYSTEM, stand.pop(first % len(stand)).id, moment)
                elif not undoes:
                    try:
                        made = await merging.merge(session, SYSTEM, ids[first], ids[second], moment)
                    except Conflict:
                        assert await pointers(session, ids) == before
                        continue
                    await merging.undo_merge(session, SYSTEM, made.id, moment)
                    assert await pointers(session, ids) == before  # the last one, undone, never was
                    stand.append(await merging.merge(session, SYSTEM, ids[first], ids[second], moment))
                roots = merging.stand_for((each.from_id, each.into_id) for each in stand)
                assert await pointers(session, ids) == [roots.get(id, id) for id in ids]
            for each in reversed(stand):
                await merging.undo_merge(session, SYSTEM, each.id, at + timedelta(hours=1))
            assert await pointers(session, ids) == ids
            owners = select(Identity.citizen_id).where(col(Identity.citizen_id).in_(ids))
            assert sorted((await session.exec(owners)).all()) == sorted(ids)
            await session.rollback()

    async def pointers(session: AsyncSession, ids: list[UUID]) -> list[UUID]:
        rows = dict((await session.exec(select(Citizen.id, Citizen.merged_into).where(col(Citizen.id).in_(ids)))).all())
        return [rows[id] or id for id in ids]

    examples: list[list[tuple[bool, int, int]]] = []

    @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def collect(steps: list[tuple[bool, int, int]]) -> None:
        examples.append(steps)

    collect()
    for steps in examples:
        await live_through(steps)


async def test_a_number_stated_on_zalo_by_which_another_is_known_is_suggested_to_both(street: Street) -> None:
    by_phone = await street.reports(1)
    await street.hears(text="Đèn đường hỏng ở phường Tân Phú, số tôi là bên dưới")
    await street.hears("contact_shared", contact={"phone": street.phone(1), "name": "Lan"})
    (on_zalo,) = await street.cases_by(street.zalo())
    assert on_zalo.contact["phone"] == street.phone(1)  # shared without a word: where they can be rung
    (there,) = await street.suggested(on_zalo.code)
    (here,) = await street.suggested(by_phone)
    assert [(each.scheme, each.handle, each.mine, each.case) for each in there.reasons] == [
        ("phone", street.phone(1), True, on_zalo.code)
    ]
    assert [(each.signal, each.mine, each.case) for each in here.reasons] == [("stated_phone", False, on_zalo.code)]
    assert (there.newest.code, here.newest.code) == (by_phone, on_zalo.code)


async def test_a_mailbox_stated_beside_ones_own_number_is_a_signal_and_a_name_is_none(street: Street) -> None:
    mail = f"lan{street.mark}@example.vn"
    async with street.database.transaction() as session:
        citizen = Citizen(id=uuid7(street.clock()), created_at=street.clock())
        session.add(citizen)
    code, _ = await a_report(street.client, contact={"name": "Trần Thị Lan", "email": mail})
    other = await street.reports(2, email=mail)
    same_name = await street.reports(3)
    assert [each.newest.code for each in await street.suggested(code)] == [other]
    assert [each.newest.code for each in await street.suggested(other)] == [code]
    assert await street.suggested(same_name) == []


async def test_who_was_said_to_be_another_is_not_suggested_again(street: Street, app: FastAPI) -> None:
    mail = f"binh{street.mark}@example.vn"
    code, _ = await a_report(street.client, contact={"email": mail})
    other = await street.reports(2, email=mail)
    agent = await _agent(street)
    async with street.database.transaction() as session:
        await person_file.not_same_as(session, agent, await case_of(session, code), other, street.clock())
    assert await street.suggested(code) == []
    assert await street.suggested(other) == []


async def test_nobody_learns_of_a_restricted_case_by_what_its_reporter_states(street: Street, as_: As) -> None:
    by_phone = await street.reports(1)
    await street.hears(text="Tôi tố cáo ông chủ tịch xã nhận tiền", contact=None)
    await street.hears("contact_shared", contact={"phone": street.phone(1)})
    (tip,) = await street.cases_by(street.zalo())
    if not tip.restricted:
        await done(as_("agent"), tip.code, "set_track", {"track": "denunciation"})
    assert (await street.case(tip.code)).restricted
    assert await street.suggested(by_phone, AGENT) == []
    assert [each.newest.code for each in await street.suggested(by_phone, INSPECTOR)] == [tip.code]
    assert [each.newest.code for each in await street.suggested(tip.code, INSPECTOR)] == [by_phone]
    await street.merge(tip.code, by_phone)
    async with street.database.transaction() as session:
        ordinary, secret = await case_of(session, by_phone), await case_of(session, tip.code)
        shown = await person_file.person_file(session, AGENT, ordinary)
        assert shown
        assert [each.scheme for each in shown.identities] == ["phone"]  # not the Zalo of who only denounced
        assert shown.merges == []
        assert await lists.citizen_history(session, AGENT, ordinary) == []
        assert await person_file.person_file(session, INSPECTOR, ordinary) is None
        seen = await person_file.person_file(session, INSPECTOR, secret)
        assert seen
        assert sorted(each.scheme for each in seen.identities) == ["phone", "zalo"]


async def test_units_are_told_nothing_of_the_person(street: Street) -> None:
    code = await street.reports(1)
    async with street.database.transaction() as session:
        case = await case_of(session, code)
        assert await person_file.person_file(session, OFFICER, case) is None
        with pytest.raises(NotAllowed):
            await person_file.part(session, OFFICER, case, uuid7(street.clock()), street.clock())
        with pytest.raises(NotFound):
            await person_file.part(session, AGENT, case, uuid7(street.clock()), street.clock())


async def test_a_number_telegram_proves_merges_by_itself_but_not_against_a_colleagues_word(street: Street) -> None:
    by_phone = await street.reports(1)
    chat = Address("telegram", f"7{street.mark}", "Lan")
    await street.hears("contact_shared", chat, contact={"phone": street.phone(1)})
    phone, telegram = await street.identity(Address("phone", street.phone(1))), await street.identity(chat)
    assert phone
    assert telegram
    async with street.database.transaction() as session:
        assert set(await people.members(session, phone.citizen_id)) == {phone.citizen_id, telegram.citizen_id}
        (made,) = await merging.merges_of(session, [phone.citizen_id, telegram.citizen_id])
        assert (made.why, made.staff_id) == ("contact_proven", None)
    await street.undo(made)
    agent = await _agent(street)
    async with street.database.transaction() as session:
        one, other = phone.citizen_id, telegram.citizen_id
        await merging.keep_apart(session, agent, one, other, street.clock())
    await street.hears("contact_shared", chat, contact={"phone": street.phone(1)})
    async with street.database.transaction() as session:
        assert await people.members(session, phone.citizen_id) == [phone.citizen_id]
    assert (await street.case(by_phone)).citizen_id == phone.citizen_id


async def test_zalo_does_not_prove_a_number(street: Street) -> None:
    code = await street.reports(1)
    await street.hears("contact_shared", contact={"phone": street.phone(1)})
    case = await street.case(code)
    assert case.citizen_id
    async with street.database.transaction() as session:
        assert await people.members(session, case.citizen_id) == [case.citizen_id]


async def test_after_a_merge_a_message_answers_the_question_asked_of_the_other(street: Street, as_: As) -> None:
    asked = await street.reports(1)
    await street.hears(text="Rác chất đống ở hẻm 12", sender=street.zalo(2))
    (mine,) = await street.cases_by(street.zalo(2))
    await done(as_("agent"), asked, "ask_citizen", {"question": "Ổ gà ở đoạn nào ạ?"})
    street.clock.move(hours=80)
    await street.hears(text="Đoạn trước cổng trường", sender=street.zalo(3))
    assert len(await street.cases_by(street.zalo(3))) == 1  # a stranger's is a case of its own
    made = await street.merge(mine.code, asked)
    await street.hears(text="Đoạn trước cổng trường Tân Phú", sender=street.zalo(2))
    assert [case.code for case in await street.cases_by(street.zalo(2))] == [mine.code]
    async with street.database.transaction() as session:
        case = await case_of(session, asked)
        said = (await session.exec(select(Entry.text).where(Entry.case_id == case.id, Entry.kind == "message"))).all()
        assert list(said) == ["Đoạn trước cổng trường Tân Phú"]
        assert case.status == "received"
    await street.undo(made)
    street.clock.move(hours=80)
    await street.hears(text="Còn chuyện khác nữa là cây đổ chắn ngang đường ĐT741", sender=street.zalo(2))
    newest = (await street.cases_by(street.zalo(2)))[-1]
    assert newest.citizen_id == mine.citizen_id


OPT_OUTS = [
    # scheme, how they stop, how they come again, what they agree to then
    ("phone", {"kind": "unfollow", "text": "STOP"}, {"kind": "follow", "text": "START"}, {"answers", "surveys"}),
    ("zalo", {"kind": "unfollow"}, {"kind": "follow"}, {"answers", "surveys"}),
    ("telegram", {"kind": "unfollow", "status": "kicked"}, {"kind": "follow"}, {"answers", "surveys"}),
    (
        "telegram",
        {"kind": "postback", "thread": {"command": "stop"}},
        {"kind": "postback", "thread": {"command": "start"}},
        {"answers", "surveys"},
    ),
    ("zalo", {"kind": "unfollow"}, {"kind": "message", "text": "Cho tôi hỏi"}, {"answers"}),
]


@pytest.mark.parametrize(("scheme", "away", "again", "agreed"), OPT_OUTS)
async def test_who_wants_no_messages_gets_none_until_they_come_again(
    street: Street, scheme: str, away: dict[str, Any], again: dict[str, Any], agreed: set[str]
) -> None:
    who = Address(scheme, street.phone(5) if scheme == "phone" else f"55{street.mark}")
    await street.hears(text="Đèn đường hỏng", sender=who)
    channel = "sms" if scheme == "phone" else scheme
    await street.hears(sender=who, **away)
    identity = await street.identity(who)
    assert identity
    assert identity.stopped_at == street.clock()
    rows = len(await street.journal("person.stopped"))
    await street.hears(sender=who, **away)
    assert len(await street.journal("person.stopped")) == rows  # said twice is said once
    street.clock.move(hours=1)
    await street.hears(sender=who, **again)
    identity = await street.identity(who)
    assert identity
    assert identity.stopped_at is None
    async with street.database.transaction() as session:
        now = await people.agreements(session, [identity.citizen_id])
        assert {purpose for (by, purpose), said in now.items() if said.given and by == channel} == agreed
        kept = select(Consent).where(Consent.citizen_id == identity.citizen_id)
        assert len((await session.exec(kept)).all()) == 2 + len(agreed)  # what was taken back stays readable


async def test_a_machine_that_writes_does_not_take_a_stop_back(street: Street) -> None:
    who = Address("email", f"may{street.mark}@example.vn")
    await street.hears(text="Đèn hỏng", sender=who)
    async with street.database.transaction() as session:
        assert await people.stop(session, who, street.clock())
    await street.hears(text="Tôi đi vắng", sender=who, automatic=True)
    identity = await street.identity(who)
    assert identity
    assert identity.stopped_at


async def test_stop_from_an_unknown_number_is_remembered_and_an_unknown_follower_is_not(street: Street) -> None:
    stranger, follower = Address("phone", street.phone(7)), street.zalo(7)
    await street.hears("unfollow", stranger, text="STOP")
    await street.hears("unfollow", follower)
    found = await street.identity(stranger)
    assert found
    assert found.stopped_at
    assert await street.identity(follower) is None


@pytest.mark.parametrize(
    ("status", "error", "known", "stopped", "unreachable"),
    [
        ("complaint", "complaint", True, True, False),
        ("complaint", "complaint", False, False, False),  # a notice about a mail that we never sent
        ("failed", "5.1.1", True, False, True),
        ("failed", "5.2.2", True, False, False),  # a full mailbox is somebody's
        ("delayed", "4.2.2", True, False, False),
    ],
)
async def test_what_a_mail_server_says_of_our_mail_counts_for_who_it_went_to(
    street: Street, status: str, error: str, known: bool, stopped: bool, unreachable: bool
) -> None:
    who = Address("email", f"thu{street.mark}@example.vn")
    await street.hears(text="Đèn đường hỏng", sender=who)
    (case,) = await street.cases_by(who)
    at = street.clock()
    async with street.database.transaction() as session:
        receipt = (await session.exec(select(Outgoing).where(Outgoing.subject_id == case.id))).one()
        await session.execute(update(Outgoing).where(col(Outgoing.id) == receipt.id).values(state="sent", run_at=None))
        ours = f"m{street.mark}@1022"
        session.add(OutgoingPart(outgoing_id=receipt.id, part=0, channel="email", vendor_id=ours, state="sent"))
    refs = (ours if known else "somebody-elses@mail",)
    server = Address("email", "mailer-daemon@example.vn")
    thread = {"recipient": who.handle}
    await street.hears("bounce", server, status=status, error=error, refs=refs, thread=thread, automatic=True)
    identity = await street.identity(who)
    assert identity
    assert (identity.stopped_at == at, identity.unreachable_at == at) == (stopped, unreachable)


async def test_who_withdraws_their_data_is_unknown_at_once_when_nothing_is_open(street: Street, as_: As) -> None:
    who = street.zalo(4)
    await street.hears(text="Rác chất đống", sender=who)
    await street.hears("contact_shared", who, contact={"phone": street.phone(4)})
    (case,) = await street.cases_by(who)
    await done(as_("agent"), case.code, "answer_directly", {"reply": "Đã dọn."})
    async with street.database.transaction() as session:
        await session.execute(update(Case).where(col(Case.id) == case.id).values(status="closed"))
    await street.hears("unfollow", who, status="data_withdrawn")
    assert await street.identity(who) is None
    assert await street.identity(Address("phone", street.phone(4))) is None  # shared there, known by nothing else
    after = await street.case(case.code)
    assert after.contact == {}
    assert after.text == "Rác chất đống"
    async with street.database.transaction() as session:
        (asked,) = (await session.exec(select(Withdrawal).where(Withdrawal.channel == "zalo"))).all()[-1:]
        assert asked.done_at == street.clock()
        told = select(Outgoing).where(Outgoing.subject_id == case.id, Outgoing.scheme == "zalo")
        assert {(each.handle == who.handle, each.run_at) for each in (await session.exec(told)).all()} == {
            (False, None)
        }
        threads = select(Thread).where(Thread.subject_id == case.id)
        assert [(each.handle == who.handle, each.thread) for each in (await session.exec(threads)).all()] == [
            (False, {})
        ]
        raws = select(Received).where(Received.channel == "zalo", col(Received.external_id).in_(street.events))
        assert {(row.raw, row.sender) for row in (await session.exec(raws)).all()} == {("", None)}
    row = (await street.journal("person.forgotten"))[-1]
    assert (row.case_id, row.data) == (case.id, {"channel": "zalo", "code": case.code})


async def test_with_a_case_open_it_is_noted_and_done_when_the_last_one_ends(street: Street, as_: As) -> None:
    who = street.zalo(6)
    await street.hears(text="Cây đổ chắn đường", sender=who)
    (case,) = await street.cases_by(who)
    await street.hears("unfollow", who, status="data_withdrawn")
    identity = await street.identity(who)
    assert identity
    assert identity.stopped_at
    async with street.database.transaction() as session:
        notes = select(Entry.text).where(Entry.case_id == case.id, Entry.kind == "note")
        assert "rút lại dữ liệu" in (await session.exec(notes)).one()
        assert await give_up_due(session, street.clock()) == 0
    await done(as_("agent"), case.code, "mark_spam")
    async with street.database.transaction() as session:
        assert await give_up_due(session, street.clock()) == 1
        assert await give_up_due(session, street.clock()) == 0
    assert await street.identity(who) is None
    assert (await street.case(case.code)).contact == {}


async def test_the_channel_somebody_prefers_is_what_they_said_last_under_any_of_their_names(street: Street) -> None:
    first, second = await street.reports(1), await street.reports(2)
    made = await street.merge(second, first)
    async with street.database.transaction() as session:
        one, other = await case_of(session, first), await case_of(session, second)
        await people.prefer(session, one, "sms", street.clock())
        await people.prefer(session, other, "email", street.clock.move(minutes=1))
        assert one.citizen_id
        same = await people.members(session, one.citizen_id)
        assert await people.preferred(session, same) == "email"
        with pytest.raises(Invalid):
            await people.prefer(session, one, "voice", street.clock())
    await street.undo(made)
    anonymous, _ = await a_report(street.client)
    async with street.database.transaction() as session:
        assert await people.preferred(session, [one.citizen_id]) == "sms"
        with pytest.raises(Conflict):
            await people.prefer(session, await case_of(session, anonymous), "sms", street.clock())


async def test_an_address_is_unreachable_until_something_arrives_or_they_write(street: Street) -> None:
    who = street.zalo(8)
    await street.hears(text="Nước yếu", sender=who)
    async with street.database.transaction() as session:
        assert await people.unreachable(session, who, "blocked", street.clock())
        assert not await people.unreachable(session, who, "blocked", street.clock())
        assert await people.reachable(session, who, street.clock())
        assert not await people.reachable(session, who, street.clock())
        assert await people.unreachable(session, who, "blocked", street.clock())
        assert not await people.unreachable(session, Address("zalo", "nobody"), "blocked", street.clock())
    await street.hears(text="Nước lại yếu", sender=who)
    identity = await street.identity(who)
    assert identity
    assert identity.unreachable_at is None


async def test_a_message_that_is_delivered_after_all_makes_its_address_reachable(street: Street) -> None:
    who = Address("email", f"lai{street.mark}@example.vn")
    await street.hears(text="Nước yếu", sender=who)
    (case,) = await street.cases_by(who)
    ours = f"d{street.mark}@1022"
    async with street.database.transaction() as session:
        receipt = (await session.exec(select(Outgoing).where(Outgoing.subject_id == case.id))).one()
        await session.execute(update(Outgoing).where(col(Outgoing.id) == receipt.id).values(state="sent", run_at=None))
        session.add(OutgoingPart(outgoing_id=receipt.id, part=0, channel="email", vendor_id=ours, state="sent"))
        assert await people.unreachable(session, who, "no such mailbox", street.clock())
    await street.hears("read", who, refs=(ours,), automatic=True)
    identity = await street.identity(who)
    assert identity
    assert identity.unreachable_at is None


async def _agent(street: Street) -> Actor:
    """The agent of the demo."""
    async with street.database.transaction() as session:
        id = (await session.exec(select(Staff.id).where(Staff.email == "agent@demo"))).one()
    return Actor("staff", id=id, roles=frozenset({Role.AGENT}))
