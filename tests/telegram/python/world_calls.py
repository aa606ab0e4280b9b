"""Raw calls between Telethon users: each direction of each message, each ending."""

import asyncio
import time

from peer import Call, Phone, add_user, control, log_in, peer, post, refused, run, talk
from telethon import functions as f, types as t

MISSED, DISCONNECT = t.PhoneCallDiscardReasonMissed, t.PhoneCallDiscardReasonDisconnect
HANGUP, BUSY = t.PhoneCallDiscardReasonHangup, t.PhoneCallDiscardReasonBusy


async def pair():
    """Two users who know each other's name: (id, phone) of each."""
    users = []
    for name in ("Anna", "Boris"):
        user_id, phone = add_user(name)
        post(f"/users/{user_id}/privacy", {"kind": "phone_number", "audience": "everybody"})
        users.append((user_id, await Phone.log_in(phone), phone))
    (a_id, a, a_phone), (b_id, b, b_phone) = users
    await a.client(f.contacts.ResolvePhoneRequest(b_phone))
    await b.client(f.contacts.ResolvePhoneRequest(a_phone))
    return (a_id, a), (b_id, b)


async def ended(side, reason, duration=None):
    discarded = await side.next(t.PhoneCallDiscarded)
    assert type(discarded.reason) is reason, discarded
    assert discarded.duration == duration, discarded
    return discarded


async def lines(call, reason, duration, caller, callee):
    """The service message of the ended call in both chats."""
    for side, out in ((caller, True), (callee, False)):
        if side is None:
            continue
        action, message = await side.line()
        assert isinstance(action, t.MessageActionPhoneCall) and action.call_id == call.id
        assert type(action.reason) is reason and action.duration == duration and message.out == out, message


async def a_call_goes_through_and_the_caller_hangs_up():
    (_, a), (b_id, b) = await pair()
    ours, theirs = await talk(a, b, b_id)
    answer = await a.discard(ours, HANGUP(), 7)
    kinds = [type(update) for update in answer.updates]
    assert kinds == [t.UpdatePhoneCall, t.UpdateNewMessage], kinds
    assert answer.updates[0].phone_call.duration == 7 and answer.updates[1].message.action.duration == 7
    await ended(b, HANGUP, 7)
    await lines(ours, HANGUP, 7, None, b)
    again = await b.discard(theirs, HANGUP(), 9)
    assert again.updates[0].phone_call.duration == 7


async def the_callee_hangs_up():
    (a_id, a), (_, b) = await pair()
    ours, theirs = await talk(b, a, a_id)
    await a.discard(theirs, HANGUP(), 3)
    await ended(b, HANGUP, 3)
    await lines(ours, HANGUP, 3, b, None)


async def signaling_goes_both_ways_unread_and_in_order():
    (_, a), (b_id, b) = await pair()
    ours, theirs = await talk(a, b, b_id)
    sent = [bytes([n]) * (n + 1) for n in range(30)]
    for data in sent:
        assert await a.signal(ours, data)
    for data in sent[:5]:
        assert await b.signal(theirs, data)
    assert [await asyncio.wait_for(b.signaling.get(), 5) for _ in sent] == [(ours.id, data) for data in sent]
    assert [await asyncio.wait_for(a.signaling.get(), 5) for _ in sent[:5]] == [(ours.id, d) for d in sent[:5]]
    await a.discard(ours, HANGUP())
    async with refused("CALL_NOT_ACTIVE", 400):
        await a.signal(ours, b"late")


async def the_callee_declines():
    (_, a), (b_id, b) = await pair()
    call = await a.dial(b_id)
    requested = await b.rings()
    await b.receive(requested)
    await a.next(t.PhoneCallWaiting)
    await b.discard(requested, BUSY())
    await ended(a, BUSY)
    await lines(call, BUSY, None, a, None)
    async with refused("CALL_ALREADY_DECLINED", 400):
        await b.accept(requested)


async def the_caller_gives_up():
    (_, a), (b_id, b) = await pair()
    call = await a.dial(b_id)
    requested = await b.rings()
    await b.receive(requested)
    await a.next(t.PhoneCallWaiting)
    await a.discard(call, MISSED())
    await ended(b, MISSED)
    await lines(call, MISSED, None, None, b)


async def nobody_answers():
    (_, a), (b_id, b) = await pair()
    post("/timers", {"scale": 0.02})
    config = await a.client(f.help.GetConfigRequest())
    assert (config.call_receive_timeout_ms, config.call_ring_timeout_ms) == (400, 1800)
    begun = time.monotonic()
    call = await a.dial(b_id)
    await b.rings()
    await ended(a, MISSED)
    assert 0.35 < time.monotonic() - begun < 1.5, "no device said receivedCall"
    await ended(b, MISSED)
    await lines(call, MISSED, None, a, b)
    begun = time.monotonic()
    await a.dial(b_id)
    await b.receive(await b.rings())
    await a.next(t.PhoneCallWaiting)
    await ended(a, MISSED)
    assert 1.7 < time.monotonic() - begun < 3, "it rang"
    post("/timers", {"scale": 1.0})


async def another_device_answers():
    (_, a), (b_id, b) = await pair()
    b2 = Phone(await log_in((await b.client.get_me()).phone))
    call = await a.dial(b_id)
    first, second = await b.rings(), await b2.rings()
    assert first.id == second.id
    theirs = await b2.accept(second)
    over = await b.next(t.PhoneCallDiscarded)
    assert over.id == call.id and over.reason is None
    async with refused("CALL_ALREADY_ACCEPTED", 400):
        await b.accept(first)
    async with refused("CALL_ALREADY_ACCEPTED", 400):
        await b.discard(first, BUSY())
    await a.confirm(call, await a.next(t.PhoneCallAccepted))
    theirs.check(await b2.next(t.PhoneCall))
    await a.signal(call, b"to the one that answered")
    assert await asyncio.wait_for(b2.signaling.get(), 5) == (call.id, b"to the one that answered")
    await a.discard(call, HANGUP(), 1)
    await ended(b2, HANGUP, 1)
    await b.silent()
    assert b.signaling.empty()
    await lines(call, HANGUP, 1, None, b)


async def a_second_caller_finds_a_ringing_callee_busy():
    (_, a), (b_id, b) = await pair()
    c_id, c_phone = add_user("Clara")
    c = await Phone.log_in(c_phone)
    await c.client(f.contacts.ResolvePhoneRequest((await b.client.get_me()).phone))
    call = await a.dial(b_id)
    requested = await b.rings()
    await b.receive(requested)
    await a.next(t.PhoneCallWaiting)
    await c.dial(b_id)
    await ended(c, BUSY)
    await b.silent()
    await b.accept(requested)
    await a.confirm(call, await a.next(t.PhoneCallAccepted))
    await b.next(t.PhoneCall)
    await c.dial(b_id)
    await ended(c, BUSY)
    await a.discard(call, HANGUP())
    await ended(b, HANGUP, 0)
    await c.dial(b_id)
    assert (await b.rings()).admin_id == c_id


async def calls_without_received_call_come_side_by_side():
    (a_id, a), (b_id, b) = await pair()
    c_id, c_phone = add_user("Clara")
    c = await Phone.log_in(c_phone)
    await c.client(f.contacts.ResolvePhoneRequest((await b.client.get_me()).phone))
    first, theirs = await talk(a, b, b_id, ring=False)
    second, others = await talk(c, b, b_id, ring=False)
    assert first.id != second.id and theirs.key != others.key
    await a.signal(first, b"first")
    await c.signal(second, b"second")
    got = {await asyncio.wait_for(b.signaling.get(), 5) for _ in range(2)}
    assert got == {(first.id, b"first"), (second.id, b"second")}
    await c.discard(second, HANGUP(), 1)
    assert (await ended(b, HANGUP, 1)).id == second.id
    assert await a.signal(first, b"still there")


async def who_may_not_call_is_told_so():
    (a_id, a), (b_id, b) = await pair()
    post(f"/users/{b_id}/privacy", {"kind": "phone_call", "audience": "nobody"})
    async with refused("USER_PRIVACY_RESTRICTED", 403):
        await a.dial(b_id)
    post(f"/users/{b_id}/privacy", {"kind": "phone_call", "audience": "everybody"})
    post(f"/users/{b_id}/block", {"other": a_id, "blocked": True})
    async with refused("USER_IS_BLOCKED"):  # Telethon has a number of its own for this one
        await a.dial(b_id)
    asked = control("GET", f"/journal?user={a_id}&method=phone.requestCall")
    assert [line["outcome"] for line in asked] == ["403 USER_PRIVACY_RESTRICTED", "403 USER_IS_BLOCKED"]
    post(f"/users/{b_id}/block", {"other": a_id, "blocked": False})
    post(f"/users/{b_id}", {"outdated": True})
    async with refused("PARTICIPANT_VERSION_OUTDATED", 400):
        await a.dial(b_id)
    post(f"/users/{b_id}", {"outdated": False, "deactivated": True})
    async with refused("INPUT_USER_DEACTIVATED", 400):
        await a.dial(b_id)
    async with refused("USER_ID_INVALID", 400):
        await a.client(f.phone.RequestCallRequest(t.InputUser(a_id, 0), b"\0" * 32, Call().protocol, random_id=5))


async def what_is_wrong_with_a_request_is_named():
    (a_id, a), (b_id, b) = await pair()
    for wrong in ({"max_layer": 42}, {"min_layer": 10}):
        async with refused("CALL_PROTOCOL_LAYER_INVALID", 400):
            await a.dial(b_id, **wrong)
    async with refused("CALL_PROTOCOL_FLAGS_INVALID", 400):
        await a.dial(b_id, udp_p2p=False, udp_reflector=False)
    call = await a.dial(b_id, random_id=77)
    a.client._request_retries = 1
    async with refused("Request was unsuccessful".replace(" ", "")):  # Telethon repeats whatever fails with 500
        await a.dial(b_id, random_id=77)
    asked = control("GET", f"/journal?user={a_id}&method=phone.requestCall")
    assert asked[-1]["outcome"] == "500 RANDOM_ID_DUPLICATE"
    requested = await b.rings()
    async with refused("CALL_PEER_INVALID", 400):
        await b.client(f.phone.ReceivedCallRequest(t.InputPhoneCall(requested.id, requested.access_hash + 1)))
    async with refused("CALL_PEER_INVALID", 400):
        await b.client(f.phone.ReceivedCallRequest(peer(call)))  # the caller's hash is not the callee's
    async with refused("CALL_PEER_INVALID", 400):
        await a.receive(call)
    async with refused("CALL_PEER_INVALID", 400):
        await a.client(f.phone.ConfirmCallRequest(call.peer, call.public, 0, call.protocol))
    async with refused("COMPAT_LAYER_INVALID", 406):
        await b.accept(requested, versions=["4.0.1"])
    await b.accept(requested)
    accepted = await a.next(t.PhoneCallAccepted)
    liar = Call()
    async with refused("G_A_INVALID", 400):
        await a.client(f.phone.ConfirmCallRequest(call.peer, liar.public, 0, call.protocol))
    await a.confirm(call, accepted)
    assert await a.client(f.phone.SaveCallDebugRequest(call.peer, t.DataJSON("{}")))
    assert await a.client(f.phone.SetCallRatingRequest(call.peer, 5, "fine"))
    config = await a.client(f.phone.GetCallConfigRequest())
    assert "hangup_ui_timeout" in config.data


async def the_versions_are_intersected():
    (_, a), (b_id, b) = await pair()
    for versions, merged in (("best", ["12.0.0"]), ("all", ["12.0.0", "9.0.0"])):
        post("/settings", {"calls": {"versions": versions}})
        call = await a.dial(b_id, versions=["8.0.0", "9.0.0", "12.0.0"])
        requested = await b.rings()
        assert requested.protocol.library_versions == ["8.0.0", "9.0.0", "12.0.0"]
        await b.accept(requested, versions=["13.0.0", "12.0.0", "9.0.0"])
        accepted = await a.next(t.PhoneCallAccepted)
        active = await a.confirm(call, accepted)
        for seen in (accepted, active, await b.next(t.PhoneCall)):
            assert seen.protocol.library_versions == merged, seen
        await a.discard(call, HANGUP())
        await ended(b, HANGUP, 0)
    post("/settings", {"calls": {"versions": "best"}})


async def a_call_says_what_the_world_is_set_to():
    (_, a), (b_id, b) = await pair()
    turn = {"kind": "webrtc", "id": 1, "ip": "10.0.0.1", "port": 3478, "turn": True, "username": "u", "password": "p"}
    reflector = {"kind": "reflector", "id": 2, "ip": "10.0.0.2", "port": 599, "peer_tag": "ab" * 16}
    more = {"p2p_allowed": False, "connections": [turn, reflector], "custom_parameters": '{"x":1}', "need_rating": True}
    post(f"/users/{b_id}/next-call", more)
    call = await a.dial(b_id, video=True)
    requested = await b.rings()
    assert requested.video
    await b.accept(requested)
    ours = await a.confirm(call, await a.next(t.PhoneCallAccepted))
    theirs = await b.next(t.PhoneCall)
    # The sides of a call have tags that differ in one bit.
    for seen, tag in ((ours, b"\xab" * 11 + b"\xaa" + b"\xab" * 4), (theirs, b"\xab" * 16)):
        assert not seen.p2p_allowed and seen.custom_parameters.data == '{"x":1}' and seen.video
        first, second = seen.connections
        assert (first.turn, first.stun, first.ip, first.port, first.username) == (True, False, "10.0.0.1", 3478, "u")
        assert (second.ip, second.peer_tag) == ("10.0.0.2", tag)
    await a.discard(call, HANGUP(), 2)
    assert (await ended(b, HANGUP, 2)).need_rating
    plain, _ = await talk(a, b, b_id)
    await a.discard(plain, HANGUP())
    await ended(b, HANGUP, 0)
    post(f"/users/{b_id}/privacy", {"kind": "phone_p2p", "audience": "nobody"})
    call = await a.dial(b_id)
    await b.accept(await b.rings())
    assert not (await a.confirm(call, await a.next(t.PhoneCallAccepted))).p2p_allowed


async def updates_come_short_in_containers_and_numbered():
    for wrap in ("short", "updates", "sequenced"):
        post("/settings", {"call_updates": wrap, "signaling_updates": wrap})
        (_, a), (b_id, b) = await pair()
        ours, _ = await talk(a, b, b_id)
        await a.signal(ours, wrap.encode())
        assert await asyncio.wait_for(b.signaling.get(), 5) == (ours.id, wrap.encode())
        seq = (await b.client(f.updates.GetStateRequest())).seq
        assert (seq > 0) == (wrap == "sequenced"), (wrap, seq)
        await a.discard(ours, HANGUP(), 1)
        await ended(b, HANGUP, 1)
    post("/settings", {"call_updates": "updates", "signaling_updates": "short"})


async def a_session_that_was_away_gets_the_difference():
    (a_id, a), (b_id, b) = await pair()
    before = await b.client(f.updates.GetStateRequest())
    calls = []
    for _ in range(3):
        calls.append(await a.dial(b_id))
        await a.discard(calls[-1], MISSED())
    ringing = await a.dial(b_id)
    got = await b.client(f.updates.GetDifferenceRequest(before.pts, before.date, before.qts))
    assert isinstance(got, t.updates.Difference)
    assert [message.action.call_id for message in got.new_messages] == [call.id for call in calls]
    assert [update.phone_call.id for update in got.other_updates] == [ringing.id]
    assert {user.id for user in got.users} == {a_id, b_id} and got.state.pts == before.pts + 3
    await a.discard(ringing, MISSED())
    now = await b.client(f.updates.GetStateRequest())
    got = await b.client(f.updates.GetDifferenceRequest(now.pts, now.date, now.qts))
    assert isinstance(got, t.updates.DifferenceEmpty)
    post("/settings", {"difference_slice": 2})
    got = await b.client(f.updates.GetDifferenceRequest(before.pts, before.date, before.qts))
    assert isinstance(got, t.updates.DifferenceSlice) and got.intermediate_state.pts == before.pts + 2
    got = await b.client(f.updates.GetDifferenceRequest(before.pts, before.date, before.qts, pts_total_limit=2))
    assert isinstance(got, t.updates.DifferenceTooLong) and got.pts == now.pts
    post("/settings", {"difference_slice": 100})


run(
    a_call_goes_through_and_the_caller_hangs_up,
    the_callee_hangs_up,
    signaling_goes_both_ways_unread_and_in_order,
    the_callee_declines,
    the_caller_gives_up,
    nobody_answers,
    another_device_answers,
    a_second_caller_finds_a_ringing_callee_busy,
    calls_without_received_call_come_side_by_side,
    who_may_not_call_is_told_so,
    what_is_wrong_with_a_request_is_named,
    the_versions_are_intersected,
    a_call_says_what_the_world_is_set_to,
    updates_come_short_in_containers_and_numbered,
    a_session_that_was_away_gets_the_difference,
)
