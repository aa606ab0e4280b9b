"""What a user says about their account: privacy, sessions, the ways of a code, the hint, as Telethon sees it."""

import asyncio

from peer import Phone, add_user, control, log_in, login_code, post, refused, run, stranger
from telethon import events, functions as f, types as t, utils


def said(rules):
    """The rules of an answer, each by its kind and the users it names."""
    return [(type(rule).__name__, getattr(rule, "users", None)) for rule in rules]


async def who_may_call_is_said_read_and_kept_to():
    boss_id, boss_phone = add_user("Boss", username="the_boss")
    friend_id, friend_phone = add_user("Friend", username="the_friend")
    foe_id, foe_phone = add_user("Foe", username="the_foe")
    boss, desk = await log_in(boss_phone), await log_in(boss_phone)
    told = asyncio.Queue()
    desk.add_event_handler(told.put, events.Raw(t.UpdatePrivacy))
    key = t.InputPrivacyKeyPhoneCall()
    first = await boss(f.account.GetPrivacyRequest(key))
    assert said(first.rules) == [("PrivacyValueAllowAll", None)]
    friend = utils.get_input_user(await boss.get_input_entity("the_friend"))
    wanted = [t.InputPrivacyValueAllowUsers([friend]), t.InputPrivacyValueDisallowAll()]
    answer = await boss(f.account.SetPrivacyRequest(key, wanted))
    kept = [("PrivacyValueAllowUsers", [friend_id]), ("PrivacyValueDisallowAll", None)]
    assert said(answer.rules) == kept and [user.id for user in answer.users] == [friend_id]
    update = await asyncio.wait_for(told.get(), 5)
    assert isinstance(update.key, t.PrivacyKeyPhoneCall) and said(update.rules) == kept
    assert said((await desk(f.account.GetPrivacyRequest(key))).rules) == kept
    rule = next(rule for rule in control("GET", f"/users/{boss_id}/privacy") if rule["kind"] == "phone_call")
    assert rule == {"kind": "phone_call", "audience": "nobody", "allow": [friend_id], "disallow": []}
    ours, theirs = await Phone.log_in(friend_phone), await Phone.log_in(foe_phone)
    await ours.client.get_input_entity("the_boss"), await theirs.client.get_input_entity("the_boss")
    await ours.discard(await ours.dial(boss_id), t.PhoneCallDiscardReasonMissed())
    async with refused("USER_PRIVACY_RESTRICTED", 403):
        await theirs.dial(boss_id)
    full = await theirs.client(f.users.GetFullUserRequest("the_boss"))
    assert full.full_user.phone_calls_private
    async with refused("PRIVACY_KEY_INVALID", 400):
        await boss(f.account.GetPrivacyRequest(t.InputPrivacyKeyForwards()))
    for client in boss, desk, ours.client, theirs.client:
        await client.disconnect()


async def a_call_goes_directly_where_both_sides_let_it():
    anna_id, anna_phone = add_user("Anna", username="direct_anna")
    boris_id, boris_phone = add_user("Boris", username="direct_boris")
    anna, boris = await Phone.log_in(anna_phone), await Phone.log_in(boris_phone)
    await anna.client.get_input_entity("direct_boris")
    for who, audience, direct in [(None, None, True), (boris.client, "nobody", False),
                                  (boris.client, "all", True), (anna.client, "nobody", False)]:
        if who:
            value = t.InputPrivacyValueAllowAll() if audience == "all" else t.InputPrivacyValueDisallowAll()
            await who(f.account.SetPrivacyRequest(t.InputPrivacyKeyPhoneP2P(), [value]))
        call = await anna.dial(boris_id)
        theirs = await boris.accept(await boris.rings())
        active = await anna.confirm(call, await anna.next(t.PhoneCallAccepted))
        assert bool(active.p2p_allowed) == direct, (audience, active)
        await anna.discard(call, t.PhoneCallDiscardReasonHangup(), 1)
        await boris.next(t.PhoneCall)
        await boris.next(t.PhoneCallDiscarded)
    await anna.client.disconnect()
    await boris.client.disconnect()


async def the_number_is_seen_by_those_who_may():
    shy_id, shy_phone = add_user("Shy", username="shy_one")
    _, viewer_phone = add_user("Viewer")
    shy, viewer = await log_in(shy_phone), await log_in(viewer_phone)
    assert (await viewer.get_entity("shy_one")).phone is None
    key = t.InputPrivacyKeyPhoneNumber()
    await shy(f.account.SetPrivacyRequest(key, [t.InputPrivacyValueAllowAll()]))
    assert (await viewer.get_entity("shy_one")).phone == shy_phone
    post(f"/users/{shy_id}/privacy", {"kind": "phone_number", "audience": "nobody"})
    assert (await viewer.get_entity("shy_one")).phone is None
    assert said((await shy(f.account.GetPrivacyRequest(key))).rules) == [("PrivacyValueDisallowAll", None)]
    await shy.disconnect()
    await viewer.disconnect()


async def a_session_ends_by_its_own_word_and_by_another_ones():
    user_id, phone = add_user("Many")
    first, second, third = await log_in(phone), await log_in(phone), await log_in(phone)
    assert await first.log_out()
    listed = (await second(f.account.GetAuthorizationsRequest())).authorizations
    assert len(listed) == 2 and [entry.hash for entry in listed if entry.current] == [0]
    async with refused("HASH_INVALID", 400):
        await second(f.account.ResetAuthorizationRequest(42))
    key = next(key for key in control("GET", "/keys") if key["user"] == user_id)
    assert key["connections"] == 1
    assert await second(f.auth.ResetAuthorizationsRequest())
    await asyncio.sleep(0.2)
    async with refused("SESSION_REVOKED", 401):
        await third(f.updates.GetStateRequest())
    assert len((await second(f.account.GetAuthorizationsRequest())).authorizations) == 1
    await second.disconnect()
    await third.disconnect()


async def a_code_takes_the_way_that_was_announced():
    _, phone = add_user("Slow", password="correct horse", hint="a horse")
    post("/settings", {"code_timeout_s": 2})
    client = stranger()
    await client.connect()
    sent = await client.send_code_request(phone)
    assert (type(sent.type), type(sent.next_type), sent.timeout) == (
        t.auth.SentCodeTypeSms, t.auth.CodeTypeCall, 2)
    sent = await client(f.auth.ResendCodeRequest(phone, sent.phone_code_hash))
    assert (type(sent.type), type(sent.next_type)) == (t.auth.SentCodeTypeCall, t.auth.CodeTypeMissedCall)
    sent = await client(f.auth.ResendCodeRequest(phone, sent.phone_code_hash))
    assert isinstance(sent.type, t.auth.SentCodeTypeMissedCall) and sent.next_type is sent.timeout is None
    async with refused("SEND_CODE_UNAVAILABLE", 406):
        await client(f.auth.ResendCodeRequest(phone, sent.phone_code_hash))
    async with refused("SessionPasswordNeeded", 401):
        await client.sign_in(phone, login_code(phone))
    assert (await client(f.account.GetPasswordRequest())).hint == "a horse"
    await client.sign_in(password="correct horse")
    other = stranger()
    await other.connect()
    sent = await other.send_code_request(phone)
    assert (type(sent.type), type(sent.next_type)) == (t.auth.SentCodeTypeApp, t.auth.CodeTypeSms)
    post("/settings", {"code_timeout_s": 60})
    await other.disconnect()
    await client.disconnect()


run(
    who_may_call_is_said_read_and_kept_to,
    a_call_goes_directly_where_both_sides_let_it,
    the_number_is_seen_by_those_who_may,
    a_session_ends_by_its_own_word_and_by_another_ones,
    a_code_takes_the_way_that_was_announced,
)
