"""Logging in by a token that another Telethon client accepts."""

import asyncio
import datetime

from peer import add_user, control, log_in, post, refused, run, stranger
from telethon import events, functions as f, types as t


async def asking():
    client = stranger()
    await client.connect()
    return client, await client.qr_login()


async def accepted(client, qr, accept, within=10):
    """Waits for the token while `accept` is under way."""
    waiting = asyncio.create_task(qr.wait(within))
    await asyncio.sleep(0.1)
    session = await accept(f.auth.AcceptLoginTokenRequest(qr.token))
    return session, waiting


async def a_token_is_accepted_by_another_device():
    user_id, phone = add_user("Anna")
    first = await log_in(phone)
    told = asyncio.Queue()
    first.add_event_handler(told.put, events.Raw(t.UpdateNewAuthorization))
    client, qr = await asking()
    life = qr.expires - datetime.datetime.now(tz=datetime.timezone.utc)
    assert 25 < life.total_seconds() <= 31, life
    assert qr.url.startswith("tg://login?token=")
    async with refused("AUTH_KEY_UNREGISTERED", 401):
        await client(f.auth.AcceptLoginTokenRequest(qr.token))
    session, waiting = await accepted(client, qr, first)
    assert isinstance(session, t.Authorization) and not session.current and not session.password_pending
    assert (await waiting).id == user_id
    assert (await asyncio.wait_for(told.get(), 5)).hash == session.hash
    listed = (await first(f.account.GetAuthorizationsRequest())).authorizations
    assert session.hash in [entry.hash for entry in listed]
    assert (await client.get_me()).id == user_id
    async with refused("AUTH_TOKEN_ALREADY_ACCEPTED", 400):
        await first(f.auth.AcceptLoginTokenRequest(qr.token))
    async with refused("AUTH_TOKEN_INVALID", 400):
        await first(f.auth.AcceptLoginTokenRequest(b"made up"))
    assert (await first.send_message("me", "both devices")).id == 1
    await client.log_out()


async def the_second_factor_is_asked_for():
    user_id, phone = add_user("Locked", password="correct horse")
    first = await log_in(phone, "correct horse")
    client, qr = await asking()
    session, waiting = await accepted(client, qr, first)
    assert session.password_pending
    async with refused("SessionPasswordNeeded", 401):
        await waiting
    async with refused("SessionPasswordNeeded", 401):
        await client(f.updates.GetStateRequest())
    async with refused("PASSWORD_HASH_INVALID", 400):
        await client.sign_in(password="battery staple")
    assert (await client.sign_in(password="correct horse")).id == user_id
    assert (await client.get_me()).id == user_id


async def a_user_of_another_data_centre_is_sent_there():
    user_id, phone = add_user("Faraway", dc=4)
    locked_id, locked_phone = add_user("Faraway and locked", dc=5, password="correct horse")
    first = await log_in(phone)
    client, qr = await asking()
    async with refused("AUTH_TOKEN_INVALID", 400):
        await client(f.auth.ImportLoginTokenRequest(qr.token))
    _, waiting = await accepted(client, qr, first)
    assert (await waiting).id == user_id
    assert client.session.dc_id == 4
    assert (await client.get_me()).id == user_id
    first = await log_in(locked_phone, "correct horse")
    client, qr = await asking()
    _, waiting = await accepted(client, qr, first)
    async with refused("SessionPasswordNeeded", 401):
        await waiting
    assert client.session.dc_id == 5
    assert (await client.sign_in(password="correct horse")).id == locked_id


async def an_old_token_is_refused():
    user_id, phone = add_user("Late")
    first = await log_in(phone)
    post("/timers", {"scale": 0.01})
    client, qr = await asking()
    await asyncio.sleep(0.6)
    async with refused("AUTH_TOKEN_EXPIRED", 400):
        await first(f.auth.AcceptLoginTokenRequest(qr.token))
    post("/timers", {"scale": 1})
    await qr.recreate()
    _, waiting = await accepted(client, qr, first)
    assert (await waiting).id == user_id


async def an_account_that_is_there_already_is_passed_over():
    user_id, phone = add_user("Twice")
    first = await log_in(phone)
    client = stranger()
    await client.connect()
    qr = await client.qr_login(ignored_ids=[user_id])
    async with refused("AUTH_TOKEN_EXCEPTION", 400):
        await first(f.auth.AcceptLoginTokenRequest(qr.token))


async def a_test_accepts_for_a_user():
    user_id, _ = add_user("Handless")
    client, qr = await asking()
    waiting = asyncio.create_task(qr.wait(10))
    await asyncio.sleep(0.1)
    assert post(f"/users/{user_id}/accept-login", {"token": qr.url}) == {"ok": True}
    assert (await waiting).id == user_id
    assert "AUTH_TOKEN_ALREADY_ACCEPTED" in post(f"/users/{user_id}/accept-login", {"token": qr.url})["error"]
    assert [key["user"] for key in control("GET", "/keys") if key["user"] == user_id] == [user_id]


run(
    a_token_is_accepted_by_another_device,
    the_second_factor_is_asked_for,
    a_user_of_another_data_centre_is_sent_there,
    an_old_token_is_refused,
    an_account_that_is_there_already_is_passed_over,
    a_test_accepts_for_a_user,
)
