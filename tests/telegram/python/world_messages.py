"""Messages between two users and their further devices, as Telethon sees them."""

import asyncio
import io

from people import Person, box, pair, picture
from peer import add_user, control, post, refused, run
from telethon import functions as f, types as t

VCARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Acme Ltd\r\nTEL:+74950000000\r\nEND:VCARD\r\n"


async def a_text_reaches_the_other_user_and_the_senders_other_device():
    a, a2, b = await pair()
    sent = await a.client.send_message(b.id, "hello **there**", silent=True)
    assert (sent.out, sent.text) == (True, "hello **there**"), sent
    there, text, out = await b.hears()
    assert (text, out) == ("hello there", False)
    assert await a2.hears() == (sent.id, "hello there", True)
    got = await b.client.get_messages(a.id, ids=there)
    assert (got.message, got.out, got.sender_id, got.silent) == ("hello there", False, a.id, True), got
    assert got.from_id is None and isinstance(got.entities[0], t.MessageEntityBold)
    reply = await b.client.send_message(a.id, "hi", reply_to=there)
    number, text, out = await a.hears()
    assert (text, out) == ("hi", False)
    answered = await a.client.get_messages(b.id, ids=number)
    assert answered.reply_to.reply_to_msg_id == sent.id and reply.reply_to.reply_to_msg_id == there
    mine = await a.client.send_message("me", "note to self")
    assert (await a.client.get_messages("me", limit=1))[0].id == mine.id
    post("/settings", {"short_messages": False})
    await a.client.send_message(b.id, "in full")
    assert (await b.told(t.UpdateNewMessage)).message.message == "in full"
    post("/settings", {"short_messages": True})


async def what_telegram_does_not_send_is_refused():
    a, _, b = await pair()
    a.client._request_retries, a.client._raise_last_call_error = 1, True
    peer = await a.client.get_input_entity(b.id)
    send = lambda text, number, **more: a.client(f.messages.SendMessageRequest(peer, text, random_id=number, **more))
    answer = await send("once", 77)
    assert isinstance(answer, t.UpdateShortSentMessage) and answer.out
    async with refused("RANDOM_ID_DUPLICATE", 500):
        await send("twice", 77)
    assert isinstance(await b.client(f.messages.SendMessageRequest(a.id, "other account", random_id=77)),
                      t.UpdateShortSentMessage)
    async with refused("MESSAGE_EMPTY", 400):
        await send(" \n", 78)
    async with refused("MESSAGE_TOO_LONG", 400):
        await send("x" * 4097, 79)
    async with refused("ENTITY_BOUNDS_INVALID", 400):
        await send("bold", 80, entities=[t.MessageEntityBold(0, 5)])
    async with refused("PEER_ID_INVALID", 400):
        await a.client(f.messages.SendMessageRequest(t.InputPeerUser(b.id, 1), "wrong hash", random_id=81))
    post(f"/users/{a.id}/block", {"other": b.id, "blocked": True})
    async with refused("YOU_BLOCKED_USER", 400):
        await send("blocked", 82)
    post(f"/users/{a.id}/block", {"other": b.id, "blocked": False})
    post(f"/users/{b.id}/block", {"other": a.id, "blocked": True})
    async with refused("USER_IS_BLOCKED", 400):
        await send("blocked", 82)
    post(f"/users/{b.id}/block", {"other": a.id, "blocked": False})
    c_id, c_phone = add_user("Choosy")
    post(f"/users/{c_id}", {"premium_only": True})
    found = await a.client(f.contacts.ResolvePhoneRequest(c_phone))
    assert found.users[0].contact_require_premium
    async with refused("PRIVACY_PREMIUM_REQUIRED", 406):
        await a.client.send_message(c_id, "cold call")
    assert post(f"/users/{c_id}/messages", {"to": a.id, "text": "you may"})["id"] == 1
    await a.client.send_message(c_id, "warm call")
    post(f"/users/{c_id}", {"deactivated": True})
    async with refused("INPUT_USER_DEACTIVATED", 400):
        await a.client.send_message(c_id, "too late")
    texts = [message["text"] for message in box(b.id) if not message["out"]]
    assert texts == ["once"], texts


async def a_change_and_a_deletion_are_seen_by_both():
    a, a2, b = await pair()
    first = await a.client.send_message(b.id, "helo")
    there, _, _ = await b.hears()
    edited = await a.client.edit_message(b.id, first.id, "hello")
    assert edited.message == "hello" and edited.edit_date
    for person, number in ((a2, first.id), (b, there)):
        change = await person.told(t.UpdateEditMessage)
        assert (change.message.id, change.message.message) == (number, "hello")
    async with refused("MESSAGE_NOT_MODIFIED", 400):
        await a.client.edit_message(b.id, first.id, "hello")
    async with refused("MESSAGE_ID_INVALID", 400):
        await a.client.edit_message(b.id, first.id + 100, "hello")
    async with refused("MESSAGE_AUTHOR_REQUIRED", 403):
        await b.client.edit_message(a.id, there, "not mine")
    second = await a.client.send_message(b.id, "for me alone")
    kept, _, _ = await b.hears()
    affected = (await a.client.delete_messages(b.id, [second.id], revoke=False))[0]
    assert affected.pts_count == 1
    assert (await a2.told(t.UpdateDeleteMessages)).messages == [second.id]
    assert (await b.client.get_messages(a.id, ids=kept)).message == "for me alone"
    affected = (await a.client.delete_messages(b.id, [first.id, second.id, 999]))[0]
    assert affected.pts_count == 1, affected
    assert (await a2.told(t.UpdateDeleteMessages)).messages == [first.id]
    assert (await b.told(t.UpdateDeleteMessages)).messages == [there]
    assert await a.client.get_messages(b.id, ids=first.id) is None
    assert [message.id for message in await b.client.get_messages(a.id, limit=10)] == [kept]
    assert [message["deleted"] for message in box(a.id)] == [True, True]
    state = await a.client(f.updates.GetStateRequest())
    assert state.pts == affected.pts


async def reading_and_typing_are_seen():
    a, _, b = await pair()
    b2 = await Person.log_in(b.phone)
    sent = [await a.client.send_message(b.id, text) for text in ("one", "two", "three")]
    for _ in sent:
        last = await b.hears()
    dialog = (await b.client.get_dialogs())[0]
    assert (dialog.entity.id, dialog.unread_count, dialog.message.message) == (a.id, 3, "three"), dialog
    await b.client.send_read_acknowledge(a.id, max_id=last[0] - 1)
    assert (await a.told(t.UpdateReadHistoryOutbox)).max_id == sent[1].id
    there = await b2.told(t.UpdateReadHistoryInbox)
    assert (there.max_id, there.still_unread_count) == (last[0] - 1, 1)
    await b.client.send_read_acknowledge(a.id)
    assert (await a.told(t.UpdateReadHistoryOutbox)).max_id == sent[2].id
    assert (await b.client.get_dialogs())[0].unread_count == 0
    assert all(message["read"] for message in box(a.id))
    async with a.client.action(b.id, "typing"):
        typing = await b.told(t.UpdateUserTyping)
    assert typing.user_id == a.id and isinstance(typing.action, t.SendMessageTypingAction)


async def a_contact_carries_its_card():
    a, _, b = await pair()
    card = t.InputMediaContact("+" + b.phone, "Acme", "Ltd", VCARD)
    sent = await a.client.send_message(b.id, file=card)
    assert sent.contact.vcard == VCARD
    got = (await b.told(t.UpdateNewMessage)).message
    assert (got.contact.phone_number, got.contact.first_name, got.contact.last_name) == ("+" + b.phone, "Acme", "Ltd")
    assert (got.contact.vcard, got.contact.user_id) == (VCARD, b.id)
    assert box(b.id)[0]["contact"]["vcard"] == VCARD and box(b.id)[0]["media"] == "messageMediaContact"


async def photos_and_documents_go_up_and_come_down():
    a, _, b = await pair(dc=4)
    assert (a.client.session.dc_id, b.client.session.dc_id) == (4, 2)
    image = picture(320, 200)
    named = io.BytesIO(image)
    named.name = "office.png"
    sent = await a.client.send_file(b.id, named, caption="our office")
    assert sent.photo and sent.message == "our office"
    got = (await b.told(t.UpdateNewMessage)).message
    size = got.photo.sizes[-1]
    assert (size.w, size.h, got.message, got.photo.dc_id) == (320, 200, "our office", 4)
    assert await b.client.download_media(got, bytes) == image  # from the other data centre
    again = await b.client.send_file(a.id, got.photo)
    assert again.photo.id == got.photo.id
    long = bytes(range(256)) * 5000
    document = io.BytesIO(long)
    document.name = "prices.bin"
    await a.client.send_file(b.id, document, force_document=True)
    got = (await b.told(t.UpdateNewMessage)).message
    assert (got.file.name, got.file.size) == ("prices.bin", len(long))
    assert await b.client.download_media(got, bytes) == long
    peer = await a.client.get_input_entity(b.id)
    made = await a.client(f.messages.UploadMediaRequest(peer, t.InputMediaUploadedPhoto(
        await a.client.upload_file(image, file_name="x.png"))))
    assert isinstance(made, t.MessageMediaPhoto)
    async with refused("FILE_PART_0_MISSING", 400):
        lost = t.InputFile(12345, 1, "lost.png", "")
        await a.client(f.messages.SendMediaRequest(peer, t.InputMediaUploadedPhoto(lost), "", random_id=5))
    async with refused("IMAGE_PROCESS_FAILED", 400):
        text = await a.client.upload_file(b"not a picture", file_name="x.png")
        await a.client(f.messages.SendMediaRequest(peer, t.InputMediaUploadedPhoto(text), "", random_id=6))
    kept = [message for message in box(b.id) if message["media"] == "messageMediaPhoto"]
    assert len(kept) == 2 and kept[0]["file"] == kept[1]["file"]


async def a_history_is_read_by_pages():
    a, _, b = await pair()
    numbers = [(await a.client.send_message(b.id, f"message {n}")).id for n in range(7)]
    page = await a.client.get_messages(b.id, limit=3)
    assert [message.id for message in page] == numbers[:3:-1] and page.total == 7
    page = await a.client.get_messages(b.id, limit=3, offset_id=numbers[4])
    assert [message.id for message in page] == numbers[3:0:-1]
    page = await a.client.get_messages(b.id, limit=10, min_id=numbers[4])
    assert [message.id for message in page] == [numbers[6], numbers[5]]
    page = await a.client.get_messages(b.id, limit=10, max_id=numbers[2])
    assert [message.id for message in page] == [numbers[1], numbers[0]]
    page = await a.client.get_messages(b.id, limit=2, reverse=True)
    assert [message.id for message in page] == numbers[:2]
    assert (await a.client.get_messages(b.id, ids=[numbers[2], 999]))[1] is None
    forwarded = await a.client.forward_messages(b.id, numbers[0], b.id)
    assert forwarded.message == "message 0" and forwarded.fwd_from.from_id.user_id == a.id
    states = await a.client(f.messages.GetPeerDialogsRequest([t.InputDialogPeer(await a.client.get_input_entity(b.id))]))
    assert states.dialogs[0].top_message == forwarded.id


async def who_was_away_catches_up():
    a, _, b = await pair()
    numbers = [(await a.client.send_message(b.id, text)).id for text in ("old", "to change", "to delete")]
    there = [(await b.hears())[0] for _ in numbers]
    await b.client.send_message(a.id, "read me")
    before = await b.client(f.updates.GetStateRequest())
    rule = post("/faults", {"match": {"user": b.id}, "action": {"do": "drop_push"}})["id"]
    await b.client.disconnect()
    await asyncio.sleep(0.2)
    await a.client.edit_message(b.id, numbers[1], "changed")
    await a.client.delete_messages(b.id, [numbers[2]])
    await a.client.send_read_acknowledge(b.id)
    await a.client.send_message(b.id, "while you were away")
    gone = await a.client.send_message(b.id, "never seen")
    await a.client.delete_messages(b.id, [gone.id])
    control("DELETE", f"/faults/{rule}")
    await b.client.connect()
    await b.client.catch_up()
    assert (await b.hears())[1] == "while you were away"
    # Telethon passes over what else comes in a difference if it counts; so it is asked for by hand.
    missed = await b.client(f.updates.GetDifferenceRequest(before.pts, before.date, 0))
    assert isinstance(missed, t.updates.Difference), missed
    assert [message.message for message in missed.new_messages] == ["while you were away"]
    changed, deleted, read, never = missed.other_updates
    assert isinstance(changed, t.UpdateEditMessage) and changed.message.message == "changed", changed
    assert changed.message.id == there[1] and changed.pts == before.pts + 1
    assert isinstance(deleted, t.UpdateDeleteMessages) and deleted.messages == [there[2]], deleted
    assert isinstance(read, t.UpdateReadHistoryOutbox), read
    assert isinstance(never, t.UpdateDeleteMessages), never
    assert missed.state.pts == never.pts == before.pts + 6
    assert {user.id for user in missed.users} == {a.id, b.id}
    post("/settings", {"difference_slice": 2})
    part = await b.client(f.updates.GetDifferenceRequest(before.pts, before.date, 0))
    assert isinstance(part, t.updates.DifferenceSlice) and part.intermediate_state.pts == before.pts + 2, part
    post("/settings", {"difference_slice": 100})
    last = await b.client(f.updates.GetDifferenceRequest(missed.state.pts, before.date, 0))
    assert isinstance(last, t.updates.DifferenceEmpty), last


async def a_puppet_writes_changes_and_deletes():
    a, _, _ = await pair()
    p_id, p_phone = add_user("Puppet")
    said = post(f"/users/{p_id}/messages", {"to": a.id, "text": "one"})
    number, text, _ = await a.hears()
    assert (number, text) == (said["twin"], "one")
    post(f"/users/{p_id}/messages/{said['id']}", {"text": "two"})
    assert (await a.told(t.UpdateEditMessage)).message.message == "two"
    post(f"/users/{p_id}/typing", {"other": a.id})
    assert (await a.told(t.UpdateUserTyping)).user_id == p_id
    answer = await a.client.send_message(p_id, "well")
    assert post(f"/users/{p_id}/read", {"other": a.id}) == {"read": True}
    assert (await a.told(t.UpdateReadHistoryOutbox)).max_id == answer.id
    assert control("DELETE", f"/users/{p_id}/messages/{said['id']}") == {"deleted": 1}
    assert (await a.told(t.UpdateDeleteMessages)).messages == [number]
    lines = control("GET", f"/users/{p_id}/messages?with={a.id}")
    assert [(m["text"], m["out"], m["from"], m["deleted"]) for m in lines] == [
        ("two", True, p_id, True), ("well", False, a.id, False)], lines
    assert "PEER_ID_INVALID" in post(f"/users/{p_id}/messages", {"to": 1, "text": "nobody"})["error"]


run(
    a_text_reaches_the_other_user_and_the_senders_other_device,
    what_telegram_does_not_send_is_refused,
    a_change_and_a_deletion_are_seen_by_both,
    reading_and_typing_are_seen,
    a_contact_carries_its_card,
    photos_and_documents_go_up_and_come_down,
    a_history_is_read_by_pages,
    who_was_away_catches_up,
    a_puppet_writes_changes_and_deletes,
)
