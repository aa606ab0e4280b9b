"""Logging in, finding people, and what is refused, as Telethon sees it."""

import asyncio

from peer import add_user, control, log_in, login_code, post, refused, run, stranger
from telethon import functions as f, types as t


async def the_right_code_logs_in():
    user_id, phone = add_user("Anna", last_name="Ivanova", username="anna_iv")
    client = stranger()
    await client.connect()
    assert not await client.is_user_authorized()
    async with refused("AUTH_KEY_UNREGISTERED", 401):
        await client(f.updates.GetStateRequest())
    async with refused("PHONE_NUMBER_INVALID", 400):
        await client(f.auth.SendCodeRequest("+7abc", 12345, "hash", t.CodeSettings()))
    sent = await client.send_code_request("+" + phone)
    assert isinstance(sent.type, t.auth.SentCodeTypeSms) and sent.type.length == 5
    async with refused("PHONE_CODE_EMPTY", 400):
        await client(f.auth.SignInRequest(phone, sent.phone_code_hash, ""))
    async with refused("PHONE_CODE_INVALID", 400):
        await client.sign_in(phone, "00000" if login_code(phone) != "00000" else "11111")
    code = login_code(phone)
    resent = await client(f.auth.ResendCodeRequest(phone, sent.phone_code_hash))
    assert resent.phone_code_hash == sent.phone_code_hash and login_code(phone) == code
    me = await client.sign_in(phone, code)
    assert (me.id, me.phone, me.first_name, me.last_name, me.username, me.is_self) == (
        user_id, phone, "Anna", "Ivanova", "anna_iv", True)
    assert await client.is_user_authorized()
    assert (await client.get_me()).id == user_id
    await client.log_out()


async def an_expired_code_is_refused():
    _, phone = add_user("Expired")
    client = stranger()
    await client.connect()
    await client.send_code_request(phone)
    code = login_code(phone)
    assert control("DELETE", f"/login-code?phone={phone}") == {"expired": True}
    async with refused("PHONE_CODE_EXPIRED", 400):
        await client.sign_in(phone, code)
    sent = await client.send_code_request(phone)
    assert await client(f.auth.CancelCodeRequest(phone, sent.phone_code_hash))
    async with refused("PHONE_CODE_EXPIRED", 400):
        await client(f.auth.SignInRequest(phone, sent.phone_code_hash, "12345"))
    await client.disconnect()


async def the_second_factor_is_asked_for():
    user_id, phone = add_user("Locked", password="correct horse")
    client = stranger()
    await client.connect()
    await client.send_code_request(phone)
    async with refused("SessionPasswordNeeded", 401):
        await client.sign_in(phone, login_code(phone))
    async with refused("SessionPasswordNeeded", 401):
        await client(f.updates.GetStateRequest())
    async with refused("PASSWORD_HASH_INVALID", 400):
        await client.sign_in(password="battery staple")
    assert (await client.sign_in(password="correct horse")).id == user_id
    await client.disconnect()


async def a_number_without_account_may_sign_up():
    phone = "79997770001"
    client = stranger()
    await client.connect()
    sent = await client.send_code_request(phone)
    answer = await client(f.auth.SignInRequest(phone, sent.phone_code_hash, login_code(phone)))
    assert isinstance(answer, t.auth.AuthorizationSignUpRequired)
    signed = await client(f.auth.SignUpRequest(phone, sent.phone_code_hash, "New", "Comer"))
    assert signed.user.phone == phone
    post("/settings", {"unregistered": "unoccupied"})
    other = "79997770002"
    sent = await client.send_code_request(other)
    async with refused("PHONE_NUMBER_UNOCCUPIED", 400):
        await client(f.auth.SignInRequest(other, sent.phone_code_hash, login_code(other)))
    post("/settings", {"unregistered": "sign_up_required"})
    await client.disconnect()


async def a_user_of_another_data_centre_is_sent_there():
    user_id, phone = add_user("Faraway", dc=4)
    client = await log_in(phone)
    assert client.session.dc_id == 4
    assert (await client.get_me()).id == user_id
    exported = await client(f.auth.ExportAuthorizationRequest(2))
    assert exported.id == user_id
    async with refused("DC_ID_INVALID", 400):
        await client(f.auth.ExportAuthorizationRequest(4))
    sender = await client._borrow_exported_sender(2)  # exports here, imports there
    assert (await client._call(sender, f.users.GetUsersRequest([t.InputUserSelf()])))[0].id == user_id
    await client._return_exported_sender(sender)
    await client.disconnect()


async def people_are_found_by_phone_and_by_name():
    _, phone = add_user("Seeker")
    found_id, found_phone = add_user("Found", username="found_one")
    client = await log_in(phone)
    resolved = await client(f.contacts.ResolvePhoneRequest("+" + found_phone))
    assert resolved.peer.user_id == found_id and resolved.users[0].first_name == "Found"
    assert resolved.users[0].phone is None
    resolved = await client(f.contacts.ResolveUsernameRequest("FOUND_ONE"))
    assert resolved.peer.user_id == found_id
    async with refused("PHONE_NOT_OCCUPIED", 400):
        await client(f.contacts.ResolvePhoneRequest("79001234567"))
    async with refused("USERNAME_NOT_OCCUPIED", 400):
        await client(f.contacts.ResolveUsernameRequest("nobody_here"))
    async with refused("USERNAME_INVALID", 400):
        await client(f.contacts.ResolveUsernameRequest("a b"))
    post(f"/users/{found_id}/privacy", {"kind": "added_by_phone", "audience": "nobody"})
    async with refused("PHONE_NOT_OCCUPIED", 400):
        await client(f.contacts.ResolvePhoneRequest(found_phone))
    seen = (await client(f.contacts.SearchRequest("found_", 10))).results
    assert [peer.user_id for peer in seen] == [found_id]
    full = await client(f.users.GetFullUserRequest("found_one"))
    assert full.full_user.id == found_id and full.full_user.phone_calls_available
    async with refused("USER_ID_INVALID", 400):
        await client(f.users.GetFullUserRequest(t.InputUser(found_id, 42)))
    await client.disconnect()


async def contacts_are_kept():
    _, phone = add_user("Keeper")
    friend_id, friend_phone = add_user("Friend", username="a_friend")
    client = await log_in(phone)
    entry = lambda client_id, number: t.InputPhoneContact(client_id, number, "Old", "Pal")
    imported = await client(f.contacts.ImportContactsRequest([entry(7, friend_phone), entry(8, "79001234567")]))
    assert [(got.user_id, got.client_id) for got in imported.imported] == [(friend_id, 7)]
    assert (imported.users[0].first_name, imported.users[0].phone) == ("Old", friend_phone)
    kept = await client(f.contacts.GetContactsRequest(0))
    assert [contact.user_id for contact in kept.contacts] == [friend_id] and not kept.contacts[0].mutual
    await client(f.contacts.AddContactRequest("a_friend", "Dear", "Friend", ""))
    assert (await client.get_entity(friend_id)).first_name == "Dear"
    await client(f.contacts.DeleteContactsRequest(["a_friend"]))
    assert not (await client(f.contacts.GetContactsRequest(0))).contacts
    await client(f.contacts.BlockRequest("a_friend"))
    blocked = await client(f.contacts.GetBlockedRequest(0, 10))
    assert [entry.peer_id.user_id for entry in blocked.blocked] == [friend_id]
    await client(f.contacts.UnblockRequest("a_friend"))
    assert not (await client(f.contacts.GetBlockedRequest(0, 10))).blocked
    await client.disconnect()


async def sessions_are_listed_and_end():
    user_id, phone = add_user("Many")
    first, second = await log_in(phone), await log_in(phone)
    listed = (await first(f.account.GetAuthorizationsRequest())).authorizations
    assert sorted(entry.current for entry in listed) == [False, True]
    other = next(entry.hash for entry in listed if not entry.current)
    assert await first(f.account.ResetAuthorizationRequest(other))
    await asyncio.sleep(0.2)
    async with refused("SESSION_REVOKED", 401):
        await second(f.updates.GetStateRequest())
    post(f"/users/{user_id}", {"deactivated": True})
    async with refused("USER_DEACTIVATED", 401):
        await first(f.updates.GetStateRequest())
    await first.disconnect()
    await second.disconnect()


async def a_rule_makes_a_method_fail():
    user_id, phone = add_user("Flooded")
    client = await log_in(phone)
    rule = {"match": {"user": user_id, "method": "contacts.resolvePhone", "times": 1},
            "action": {"do": "error", "code": 400, "message": "PEER_FLOOD"}}
    post("/faults", rule)
    async with refused("PEER_FLOOD", 400):
        await client(f.contacts.ResolvePhoneRequest(phone))
    assert (await client(f.contacts.ResolvePhoneRequest(phone))).peer.user_id == user_id
    lines = control("GET", f"/journal?user={user_id}&method=contacts.resolvePhone")
    assert [line["outcome"] for line in lines] == ["fault: 400 PEER_FLOOD", "ok"]
    assert lines[0]["request"] == f'ResolvePhone {{ phone: "{phone}" }}'
    async with refused("METHOD_NOT_IMPLEMENTED", 400):
        await client(f.messages.GetAllDraftsRequest())
    await client.disconnect()


run(
    the_right_code_logs_in,
    an_expired_code_is_refused,
    the_second_factor_is_asked_for,
    a_number_without_account_may_sign_up,
    a_user_of_another_data_centre_is_sent_there,
    people_are_found_by_phone_and_by_name,
    contacts_are_kept,
    sessions_are_listed_and_end,
    a_rule_makes_a_method_fail,
)
