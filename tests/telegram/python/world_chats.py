"""What users do in chats beyond writing: schedule, react, vote, pin, search, archive, listen, type."""

import asyncio
from datetime import datetime, timedelta, timezone

from people import OGG_VOICE, Person, a_photo, friends, named, seen
from peer import control, post, refused, run
from telethon import functions as f, types as t


def ahead(seconds):
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


async def a_message_waits_for_its_time():
    a, b = await friends("Anna", "Boris")
    a2 = await Person.log_in(a.phone)
    when = ahead(3600).replace(microsecond=0)
    waiting = await a.client.send_message(b.id, "later", schedule=when)
    assert waiting.date == when and waiting.out
    told = (await a2.told(t.UpdateNewScheduledMessage)).message
    assert (told.id, told.message, told.date) == (waiting.id, "later", when)
    assert seen(b.id, a.id) == []
    listed = await a.client.get_messages(b.id, scheduled=True)
    assert [message.id for message in listed] == [waiting.id]
    await a.client.edit_message(b.id, waiting.id, "even later", schedule=ahead(7200))
    assert (await a2.told(t.UpdateNewScheduledMessage)).message.message == "even later"
    peer = await a.client.get_input_entity(b.id)
    now = await a.client(f.messages.SendScheduledMessagesRequest(peer, [waiting.id]))
    gone, sent = now.updates
    assert gone.messages == [waiting.id] and gone.sent_messages == [sent.message.id] and sent.message.from_scheduled
    got = (await b.told(t.UpdateNewMessage)).message
    assert (got.message, got.from_scheduled) == ("even later", True)
    other = await a.client.send_message(b.id, "never", schedule=ahead(3600))
    await a.client(f.messages.DeleteScheduledMessagesRequest(peer, [other.id]))
    assert (await a2.told(t.UpdateDeleteScheduledMessages)).messages == [waiting.id]
    assert (await a2.told(t.UpdateDeleteScheduledMessages)).messages == [other.id]
    assert len(await a.client.get_messages(b.id, scheduled=True)) == 0
    async with refused("SCHEDULE_DATE_TOO_LATE", 400):
        await a.client.send_message(b.id, "never", schedule=ahead(400 * 86400))
    at_once = await a.client.send_message(b.id, "at once", schedule=ahead(-60))
    assert (await b.hears())[1] == "at once" and at_once.id
    post("/timers", {"scale": 0.01})
    await a.client.send_message(b.id, "in twenty seconds", schedule=ahead(20))
    assert (await b.told(t.UpdateNewMessage)).message.message == "in twenty seconds"
    post("/timers", {"scale": 1})
    await a.client.send_file(b.id, a_photo(5, 5), caption="a picture", schedule=ahead(9999))
    assert post(f"/users/{a.id}/send-scheduled") == {"sent": 1}
    assert (await b.told(t.UpdateNewMessage)).message.photo


async def a_reaction_is_told_to_both():
    a, b = await friends("Anna", "Boris")
    sent = await a.client.send_message(b.id, "well?")
    there, _, _ = await b.hears()
    peer = await b.client.get_input_entity(a.id)
    react = lambda *emojis: b.client(f.messages.SendReactionRequest(
        peer, there, reaction=[t.ReactionEmoji(emoji) for emoji in emojis]))
    answer = (await react("👍")).updates[0]
    assert isinstance(answer, t.UpdateMessageReactions) and answer.reactions.results[0].chosen_order == 0, answer
    told = await a.told(t.UpdateMessageReactions)
    assert (told.msg_id, told.peer.user_id) == (sent.id, b.id)
    (count,) = told.reactions.results
    assert (count.reaction.emoticon, count.count, count.chosen_order) == ("👍", 1, None)
    assert told.reactions.recent_reactions[0].peer_id.user_id == b.id
    message = await a.client.get_messages(b.id, ids=sent.id)
    assert message.reactions.results[0].count == 1 and message.edit_date is None
    await react("❤")
    assert (await a.told(t.UpdateMessageReactions)).reactions.results[0].reaction.emoticon == "❤"
    await react()
    assert (await a.told(t.UpdateMessageReactions)).reactions.results == []
    async with refused("REACTION_INVALID", 400):
        await react("🧭")
    async with refused("MESSAGE_ID_INVALID", 400):
        await b.client(f.messages.SendReactionRequest(peer, 999, reaction=[t.ReactionEmoji("👍")]))
    post(f"/users/{b.id}/messages/{there}/react", {"chat": a.id, "emoji": "🔥"})
    assert (await a.told(t.UpdateMessageReactions)).reactions.results[0].reaction.emoticon == "🔥"
    assert seen(a.id, b.id)[0]["reactions"] == [{"from": b.id, "emoji": "🔥"}]


def poll(question, *answers, **more):
    text = lambda text: t.TextWithEntities(text, [])
    options = [t.PollAnswer(text(answer), bytes([at])) for at, answer in enumerate(answers)]
    return t.InputMediaPoll(t.Poll(id=0, question=text(question), answers=options, hash=0, **more))


async def a_poll_is_voted_in_and_closed():
    a, b = await friends("Anna", "Boris")
    sent = await a.client.send_message(b.id, file=poll("Tea or coffee?", "Tea", "Coffee"))
    got = (await b.told(t.UpdateNewMessage)).message
    assert got.poll.poll.question.text == "Tea or coffee?" and got.poll.results.results is None
    peer = await b.client.get_input_entity(a.id)
    vote = lambda *options: b.client(f.messages.SendVoteRequest(peer, got.id, [bytes([at]) for at in options]))
    mine = (await vote(1)).updates[0]
    assert [(one.chosen, one.voters) for one in mine.results.results] == [(False, 0), (True, 1)], mine
    told = await a.told(t.UpdateMessagePoll)
    assert told.results.total_voters == 1 and told.poll_id == sent.poll.poll.id and told.results.results is None
    async with refused("OPTIONS_TOO_MUCH", 400):
        await vote(0, 1)
    async with refused("OPTION_INVALID", 400):
        await vote(7)
    await vote()
    assert (await a.told(t.UpdateMessagePoll)).results.total_voters == 0
    post(f"/users/{b.id}/messages/{got.id}/vote", {"chat": a.id, "answers": [0]})
    assert seen(a.id, b.id)[0]["poll"] == {"question": "Tea or coffee?", "closed": False,
                                           "answers": [["Tea", [b.id]], ["Coffee", []]]}
    shut = poll("Tea or coffee?", "Tea", "Coffee", closed=True)
    await a.client(f.messages.EditMessageRequest(await a.client.get_input_entity(b.id), sent.id, media=shut))
    async with refused("MESSAGE_POLL_CLOSED", 400):
        await vote(1)
    results = (await b.client(f.messages.GetPollResultsRequest(peer, got.id, 0))).updates[0]
    assert results.poll.closed and [one.voters for one in results.results.results] == [1, 0]
    async with refused("POLL_ANSWERS_INVALID", 400):
        await a.client.send_message(b.id, file=poll("None?"))
    async with refused("POLL_OPTION_DUPLICATE", 400):
        twice = poll("Twice?", "a", "b")
        twice.poll.answers[1].option = b"\0"
        await a.client.send_message(b.id, file=twice)


async def a_message_is_pinned_for_both():
    a, b = await friends("Anna", "Boris")
    sent = await a.client.send_message(b.id, "important")
    there, _, _ = await b.hears()
    line = await a.client.pin_message(b.id, sent.id, notify=True)
    assert isinstance(line.action, t.MessageActionPinMessage) and line.reply_to.reply_to_msg_id == sent.id
    pinned = await b.told(t.UpdatePinnedMessages)
    assert (pinned.messages, pinned.pinned) == ([there], True)
    assert (await b.told(t.UpdateNewMessage)).message.reply_to.reply_to_msg_id == there
    assert (await b.client.get_messages(a.id, limit=1, filter=t.InputMessagesFilterPinned()))[0].id == there
    await b.client.unpin_message(a.id, there)
    assert not (await a.told(t.UpdatePinnedMessages)).pinned


async def messages_are_found_by_words_kind_and_time():
    a, b = await friends("Anna", "Boris")
    first = await a.client.send_message(b.id, "The invoice is ready")
    await b.client.send_message(a.id, "which INVOICE?")
    await a.client.send_file(b.id, a_photo(4, 4), caption="this invoice")
    await a.client.send_message(b.id, "see https://example.org/x")
    find = lambda **more: a.client.get_messages(b.id, limit=10, **more)
    assert [m.message for m in await find(search="invoice")] == ["this invoice", "which INVOICE?", "The invoice is ready"]
    assert [m.message for m in await find(search="invoice", from_user=b.id)] == ["which INVOICE?"]
    assert [m.message for m in await find(filter=t.InputMessagesFilterPhotos())] == ["this invoice"]
    assert [m.message for m in await find(filter=t.InputMessagesFilterUrl())] == ["see https://example.org/x"]
    assert (await find(search="invoice"))[-1].id == first.id
    assert [m.message for m in await a.client.get_messages(None, limit=10, search="invoice")][0] == "this invoice"
    assert len(await find(search="nothing like it")) == 0


async def chats_are_archived_and_pinned():
    a, b, c = await friends("Anna", "Boris", "Clara")
    a2 = await Person.log_in(a.phone)
    await a.client.send_message(b.id, "to b")
    await asyncio.sleep(1.1)
    await a.client.send_message(c.id, "to c")
    names = lambda dialogs: [dialog.name for dialog in dialogs]
    assert names(await a.client.get_dialogs()) == ["Clara", "Boris"]
    await a.client.edit_folder(c.id, 1)
    moved = await a2.told(t.UpdateFolderPeers)
    assert moved.folder_peers[0].folder_id == 1 and moved.pts_count == 1
    assert names(await a.client.get_dialogs(folder=0)) == ["Boris"]
    assert names(await a.client.get_dialogs(folder=1)) == ["Clara"]
    (archived,) = await a.client.get_dialogs(folder=1)
    assert archived.archived and (await a.client.get_dialogs())[0].archived
    assert control("GET", f"/users/{a.id}/chats")[0] == {"chat": c.id, "unread": 0, "archived": True}
    await a.client.edit_folder(c.id, 0)
    assert names(await a.client.get_dialogs(folder=0)) == ["Clara", "Boris"]
    state = await a.client(f.updates.GetStateRequest())
    assert state.pts == (await a.client(f.messages.GetPeerDialogsRequest([]))).state.pts
    peer = t.InputDialogPeer(await a.client.get_input_entity(b.id))
    assert await a.client(f.messages.ToggleDialogPinRequest(peer, pinned=True))
    assert (await a2.told(t.UpdateDialogPinned)).pinned
    assert names(await a.client.get_dialogs()) == ["Boris", "Clara"]
    pinned = await a.client(f.messages.GetPinnedDialogsRequest(0))
    assert [dialog.peer.user_id for dialog in pinned.dialogs] == [b.id] and pinned.dialogs[0].pinned
    assert post(f"/users/{b.id}/archive", {"other": a.id, "archived": True}) == {"changed": True}
    assert (await b.told(t.UpdateFolderPeers)).folder_peers[0].peer.user_id == a.id
    pages = [dialog.name async for dialog in a.client.iter_dialogs(limit=1)]
    assert pages == ["Boris"]


async def a_voice_message_is_heard():
    a, b = await friends("Anna", "Boris")
    sent = await a.client.send_file(b.id, named(OGG_VOICE, "voice.ogg"), voice_note=True, attributes=[
        t.DocumentAttributeAudio(2, voice=True)])
    got = (await b.told(t.UpdateNewMessage)).message
    assert got.media_unread and sent.media_unread
    affected = await b.client(f.messages.ReadMessageContentsRequest([got.id]))
    assert affected.pts_count == 1
    assert (await a.told(t.UpdateReadMessagesContents)).messages == [sent.id]
    assert (await b.client(f.messages.ReadMessageContentsRequest([got.id]))).pts_count == 0
    async with b.client.action(a.id, "record-audio"):
        action = (await a.told(t.UpdateUserTyping)).action
    assert isinstance(action, t.SendMessageRecordAudioAction)


async def a_page_is_previewed_if_the_sender_lets_it():
    a, b = await friends("Anna", "Boris")
    post("/web-pages", {"url": "https://example.org/price", "title": "Prices", "description": "All of them"})
    sent = await a.client.send_message(b.id, "see https://example.org/price")
    got = (await b.told(t.UpdateNewMessage)).message
    assert got.web_preview.title == "Prices" and sent.web_preview.url == "https://example.org/price"
    await a.client.send_message(b.id, "see https://example.org/price", link_preview=False)
    assert [line["preview"] for line in seen(b.id, a.id)] == ["Prices", None]
    preview = await a.client(f.messages.GetWebPagePreviewRequest("https://example.org/price"))
    assert preview.media.webpage.description == "All of them"
    preview = await a.client(f.messages.GetWebPagePreviewRequest("https://example.org/unknown"))
    assert isinstance(preview.media, t.MessageMediaEmpty)


async def a_message_whose_answer_was_lost_is_told_by_its_random_id():
    a, b = await friends("Anna", "Boris")
    before = await a.client(f.updates.GetStateRequest())
    peer = await a.client.get_input_entity(b.id)
    send = f.messages.SendMessageRequest(peer, "once", random_id=4711)
    rule = post("/faults", {"match": {"user": a.id, "method": "messages.sendMessage", "times": 1},
                            "action": {"do": "lose_answer"}})
    try:
        await asyncio.wait_for(a.client(send), 0.7)
        raise AssertionError("an answer came")
    except asyncio.TimeoutError:
        control("DELETE", f"/faults/{rule['id']}")
    there, text, _ = await b.hears()
    async with refused("RANDOM_ID_DUPLICATE", 500):
        await a.client(f.messages.SendMessageRequest(peer, "once", random_id=4711))
    missed = await a.client(f.updates.GetDifferenceRequest(before.pts, before.date, 0))
    (number,) = [update for update in missed.other_updates if isinstance(update, t.UpdateMessageID)]
    (sent,) = missed.new_messages
    assert (number.random_id, number.id, sent.message) == (4711, sent.id, "once") and text == "once" and there
    a2 = await Person.log_in(a.phone)
    elsewhere = await a2.client(f.updates.GetDifferenceRequest(before.pts, before.date, 0))
    assert not [update for update in elsewhere.other_updates if isinstance(update, t.UpdateMessageID)]
    assert len(seen(b.id, a.id)) == 1


async def a_change_has_its_limits():
    a, b = await friends("Anna", "Boris")
    text = await a.client.send_message(b.id, "text")
    photo = await a.client.send_file(b.id, a_photo(6, 6), caption="caption")
    async with refused("MEDIA_CAPTION_TOO_LONG", 400):
        await a.client.edit_message(b.id, photo.id, "x" * 1025)
    async with refused("MESSAGE_TOO_LONG", 400):
        await a.client.edit_message(b.id, text.id, "x" * 4097)
    edited = await a.client.edit_message(b.id, photo.id, "another", file=a_photo(7, 7))
    assert edited.photo.id != photo.photo.id and edited.message == "another"
    assert (await b.told(t.UpdateEditMessage)).message.photo.sizes[-1].w == 7
    post("/settings", {"edit_time_s": 0})
    async with refused("MESSAGE_EDIT_TIME_EXPIRED", 400):
        await a.client.edit_message(b.id, text.id, "too late")
    post("/settings", {"edit_time_s": 172800})
    async with refused("MESSAGE_IDS_TOO_MUCH", 400):
        await a.client(f.messages.DeleteMessagesRequest(list(range(101))))
    async with refused("MESSAGE_IDS_EMPTY", 400):
        peer = await a.client.get_input_entity(b.id)
        await a.client(f.messages.ForwardMessagesRequest(peer, [], peer, random_id=[]))
    silent = await a.client.forward_messages(b.id, photo.id, b.id, silent=True, drop_author=True)
    assert silent.silent and silent.fwd_from is None and silent.photo
    affected = await a.client(f.messages.DeleteHistoryRequest(peer, 0, revoke=True))
    assert affected.pts_count == 3 and affected.offset == 0
    assert seen(b.id, a.id) == []


run(
    a_message_waits_for_its_time,
    a_reaction_is_told_to_both,
    a_poll_is_voted_in_and_closed,
    a_message_is_pinned_for_both,
    messages_are_found_by_words_kind_and_time,
    chats_are_archived_and_pinned,
    a_voice_message_is_heard,
    a_page_is_previewed_if_the_sender_lets_it,
    a_message_whose_answer_was_lost_is_told_by_its_random_id,
    a_change_has_its_limits,
)
