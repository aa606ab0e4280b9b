"""What Telethon makes of connections and updates that go wrong, and of puppets led over the control API."""

import asyncio

from peer import Phone, add_user, control, post, run, talk
from telethon import functions as f, types as t

HANGUP = t.PhoneCallDiscardReasonHangup


async def pair():
    a_id, a_phone = add_user("Anna")
    b_id, b_phone = add_user("Boris")
    a, b = await Phone.log_in(a_phone), await Phone.log_in(b_phone)
    await a.client(f.contacts.ResolvePhoneRequest(b_phone))
    return (a_id, a), (b_id, b)


def asked(user_id, method):
    return len(control("GET", f"/journal?user={user_id}&method={method}"))


async def until(holds, within=10):
    for _ in range(int(within / 0.05)):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it does not come true")


async def dropped_connections_come_back_and_calls_go_on():
    (a_id, a), (b_id, b) = await pair()
    ours, theirs = await talk(a, b, b_id)
    key = next(key for key in control("GET", "/keys") if key["user"] == b_id and key["main"])
    assert key["connections"] == 1 and key["dc"] == 2, key
    post(f"/users/{b_id}/drop-connections")
    await asyncio.sleep(0.2)
    assert await b.signal(theirs, b"back again")
    assert await asyncio.wait_for(a.signaling.get(), 5) == (ours.id, b"back again")
    await a.signal(ours, b"here too")
    assert await asyncio.wait_for(b.signaling.get(), 5) == (ours.id, b"here too")
    await a.discard(ours, HANGUP(), 1)
    await b.next(t.PhoneCallDiscarded)


async def a_closed_connection_repeats_the_request():
    (a_id, a), _ = await pair()
    post("/faults", {"match": {"user": a_id, "method": "phone.getCallConfig", "times": 1}, "action": {"do": "close"}})
    assert "hangup_ui_timeout" in (await asyncio.wait_for(a.client(f.phone.GetCallConfigRequest()), 10)).data
    assert asked(a_id, "phone.getCallConfig") == 2


async def wrong_salts_and_bad_messages_repeat_the_request():
    (a_id, a), _ = await pair()
    for action in ({"do": "bad_server_salt"}, {"do": "bad_msg", "code": 16}):
        post("/faults", {"match": {"user": a_id, "method": "phone.getCallConfig", "times": 1}, "action": action})
        assert (await asyncio.wait_for(a.client(f.phone.GetCallConfigRequest()), 10)).data
    assert asked(a_id, "phone.getCallConfig") == 4


async def a_gap_in_seq_makes_the_client_ask_for_the_difference():
    post("/settings", {"call_updates": "sequenced"})
    (a_id, a), (b_id, b) = await pair()
    await b.client.get_me()
    first, theirs = await talk(a, b, b_id)
    before = asked(b_id, "updates.getDifference")
    post(f"/users/{b_id}/skip-seq", {"count": 2})
    await a.discard(first, HANGUP(), 1)
    await until(lambda: asked(b_id, "updates.getDifference") > before)
    post("/settings", {"call_updates": "updates"})


async def too_long_makes_the_client_ask_for_the_difference():
    (a_id, a), (b_id, b) = await pair()
    before = asked(b_id, "updates.getDifference")
    post(f"/users/{b_id}/too-long")
    await until(lambda: asked(b_id, "updates.getDifference") > before)


async def a_lost_service_message_is_found_by_its_counter():
    (a_id, a), (b_id, b) = await pair()
    post("/faults", {"match": {"user": b_id, "method": "updateNewMessage", "times": 1}, "action": {"do": "drop_push"}})
    for _ in range(2):
        call = await a.dial(b_id)
        await b.rings()
        await a.discard(call, t.PhoneCallDiscardReasonMissed())
    seen = [(await b.line(10))[0].call_id for _ in range(2)]
    assert seen[1] == call.id and len(set(seen)) == 2, seen
    assert asked(b_id, "updates.getDifference") >= 1


async def a_puppet_calls_and_is_called():
    (a_id, a), (b_id, b) = await pair()
    p_id = post("/users", {"phone": "78880000001", "first_name": "Puppet", "username": "the_puppet", "puppet": True})["id"]
    await a.client(f.contacts.ResolveUsernameRequest("the_puppet"))
    call = await a.dial(p_id)
    await until(lambda: control("GET", f"/users/{p_id}/calls"))
    post(f"/users/{p_id}/calls/{call.id}/receive")
    assert (await a.next(t.PhoneCallWaiting)).receive_date
    post(f"/users/{p_id}/calls/{call.id}/accept")
    await a.confirm(call, await a.next(t.PhoneCallAccepted))
    await until(lambda: control("GET", f"/users/{p_id}/calls")[0]["stage"] == "active")
    assert control("GET", f"/users/{p_id}/calls")[0]["key"] == call.key.hex()
    post(f"/users/{p_id}/calls/{call.id}/signal", {"hex": "0102"})
    assert await asyncio.wait_for(a.signaling.get(), 5) == (call.id, b"\1\2")
    await a.signal(call, b"\3\4")
    await until(lambda: control("GET", f"/users/{p_id}/calls")[0]["signaling"] == ["0304"])
    post(f"/users/{p_id}/calls/{call.id}/discard", {"reason": "hangup", "duration": 4})
    assert (await a.next(t.PhoneCallDiscarded)).duration == 4

    dialled = post(f"/users/{p_id}/calls", {"to": a_id})["call"]
    requested = await a.rings()
    assert (requested.id, requested.admin_id) == (dialled, p_id)
    theirs = await a.accept(requested)
    theirs.check(await a.next(t.PhoneCall))
    calls = {call["id"]: call for call in control("GET", f"/users/{p_id}/calls")}
    assert calls[dialled]["stage"] == "active" and calls[dialled]["key"] == theirs.key.hex()
    listed = {call["id"]: call["stage"] for call in control("GET", "/calls")}
    assert (listed[call.id], listed[dialled]) == ("ended", "active")
    post(f"/users/{p_id}/privacy", {"kind": "phone_call", "audience": "nobody"})
    await a.discard(theirs, HANGUP(), 1)
    refusal = post(f"/users/{p_id}/calls", {"to": 42})
    assert refusal == {"error": "400 USER_ID_INVALID"}, refusal


async def nonsense_is_refused_by_name():
    refusal = post("/users", {"phone": "abc", "first_name": "X"})
    assert refusal == {"error": 'phone = "abc": want 5 to 15 digits, with or without +'}
    assert "frist_name" in post("/users", {"phone": "78880000002", "frist_name": "X"})["error"]
    assert "call_updtes" in post("/settings", {"call_updtes": "short"})["error"]
    assert post("/users/42/privacy", {"kind": "phone_call", "audience": "nobody"}) == {"error": "no user 42"}
    assert post("/timers", {"scale": -1}) == {"error": "scale = -1: want 0 to 1000"}


run(
    dropped_connections_come_back_and_calls_go_on,
    a_closed_connection_repeats_the_request,
    wrong_salts_and_bad_messages_repeat_the_request,
    a_gap_in_seq_makes_the_client_ask_for_the_difference,
    too_long_makes_the_client_ask_for_the_difference,
    a_lost_service_message_is_found_by_its_counter,
    a_puppet_calls_and_is_called,
    nonsense_is_refused_by_name,
)
