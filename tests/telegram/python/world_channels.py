"""Supergroups and channels as Telethon leads them and lives in them."""

import asyncio

from people import Person, a_photo, friends, named, picture, seen
from peer import control, post, refused, run
from telethon import functions as f, types as t, utils


async def service(person, kind):
    while True:
        message = (await person.told(t.UpdateNewChannelMessage)).message
        if isinstance(message, t.MessageService):
            assert isinstance(message.action, kind), message
            return message


async def channel(*names, megagroup=True, title="Team"):
    """A supergroup or channel made by the first of these: (what Telethon calls it, people)."""
    people = await friends(*names)
    first, *others = people
    made = await first.client(f.channels.CreateChannelRequest(title, "About it", megagroup=megagroup, broadcast=not megagroup))
    (chat,) = made.chats
    if others:
        invited = await first.client(f.channels.InviteToChannelRequest(chat, [other.id for other in others]))
        assert not invited.missing_invitees
        for other in others:
            await other.told(t.UpdateChannel)
    return chat, people


async def a_supergroup_is_made_and_written_in():
    chat, (a, b, c) = await channel("Anna", "Boris", "Clara")
    assert chat.megagroup and chat.creator and chat.title == "Team"
    assert (await service(c, t.MessageActionChatAddUser)).from_id.user_id == a.id
    sent = await a.client.send_message(chat, "hello **all**")
    assert sent.out and sent.text == "hello **all**" and sent.chat_id == utils.get_peer_id(chat)
    while (got := (await b.told(t.UpdateNewChannelMessage)).message).message != "hello all":
        pass
    assert (got.id, got.out, got.sender_id, got.post) == (sent.id, False, a.id, False)
    at_b, at_c = [await person.client.get_input_entity(t.PeerChannel(chat.id)) for person in (b, c)]
    reply = await b.client.send_message(at_b, "hi", reply_to=got.id)
    assert reply.reply_to.reply_to_msg_id == sent.id and reply.id == sent.id + 1
    await c.client.send_file(at_c, a_photo(11, 11), caption="look")
    history = await a.client.get_messages(chat, limit=3)
    assert [m.message for m in history] == ["look", "hi", "hello all"] and [m.out for m in history] == [False, False, True]
    assert (await b.client.get_messages(at_b, ids=history[0].id)).photo
    assert (await b.client.get_messages(at_b, limit=1, search="hello"))[0].id == sent.id
    await a.client.edit_message(chat, sent.id, "hello you")
    change = await b.told(t.UpdateEditChannelMessage)
    assert change.message.message == "hello you" and change.message.edit_date
    async with refused("MESSAGE_AUTHOR_REQUIRED", 403):
        await b.client.edit_message(at_b, sent.id, "mine")
    async with refused("MESSAGE_NOT_MODIFIED", 400):
        await a.client.edit_message(chat, sent.id, "hello you")
    await b.client(f.messages.SendReactionRequest(at_b, sent.id, reaction=[t.ReactionEmoji("👍")]))
    assert (await a.told(t.UpdateMessageReactions)).reactions.results[0].count == 1
    async with refused("MESSAGE_DELETE_FORBIDDEN", 403):
        await b.client.delete_messages(at_b, [sent.id])
    affected = (await a.client.delete_messages(chat, [reply.id]))[0]
    gone = await c.told(t.UpdateDeleteChannelMessages)
    assert (gone.messages, gone.pts, gone.pts_count) == ([reply.id], affected.pts, 1)
    assert [line["text"] for line in seen(c.id, utils.get_peer_id(chat)) if not line["action"]] == ["hello you", "look"]


async def reading_is_counted_for_each_member():
    chat, (a, b) = await channel("Anna", "Boris")
    sent = [await a.client.send_message(chat, text) for text in ("one", "two")]
    (dialog,) = await b.client.get_dialogs()
    assert (dialog.unread_count, dialog.is_group, dialog.is_channel) == (3, True, True), dialog.unread_count
    await b.client.send_read_acknowledge(chat.id, max_id=sent[0].id)
    assert (await a.told(t.UpdateReadChannelOutbox)).max_id == sent[0].id
    b2 = await Person.log_in(b.phone)
    assert (await b2.client.get_dialogs())[0].unread_count == 1
    await b.client.send_read_acknowledge(chat.id)
    told = await b2.told(t.UpdateReadChannelInbox)
    assert (told.max_id, told.still_unread_count) == (sent[1].id, 0)
    async with b.client.action(chat.id, "typing"):
        assert (await a.told(t.UpdateChannelUserTyping)).from_id.user_id == b.id


async def a_channel_is_written_by_its_admins():
    chat, (a, b) = await channel("Anna", "Boris", megagroup=False, title="News")
    assert chat.broadcast and not chat.megagroup
    sent = await a.client.send_message(chat, "news")
    got = (await b.told(t.UpdateNewChannelMessage)).message
    assert got.post and got.from_id is None and got.views == 1 and got.message == "news"
    async with refused("CHAT_ADMIN_REQUIRED", 400):
        await b.client.send_message(chat.id, "may I?")
    forwarded = await b.client.forward_messages("me", got.id, chat.id)
    assert forwarded.fwd_from.from_id.channel_id == chat.id and forwarded.fwd_from.channel_post == sent.id
    async with refused("CHAT_ADMIN_REQUIRED", 400):
        await b.client.get_participants(chat.id)
    async with refused("USER_CREATOR", 400):
        await a.client(f.channels.LeaveChannelRequest(chat))
    await a.client.edit_admin(chat, b.id, post_messages=True, title="editor")
    assert (await b.told(t.UpdateChannel)).channel_id == chat.id
    assert (await b.client.get_entity(chat.id)).admin_rights.post_messages
    await b.client.send_message(chat.id, "now I may")
    assert (await a.told(t.UpdateNewChannelMessage)).message.message == "now I may"


async def members_are_listed_led_and_put_out():
    chat, (a, b, c) = await channel("Anna", "Boris", "Clara")
    people = await a.client.get_participants(chat)
    assert {user.id for user in people} == {a.id, b.id, c.id}
    assert [user.id for user in await a.client.get_participants(chat, search="Cla")] == [c.id]
    assert [user.id for user in await a.client.get_participants(chat, filter=t.ChannelParticipantsAdmins())] == [a.id]
    rights = await a.client.get_permissions(chat, a.id)
    assert rights.is_creator
    await a.client.edit_admin(chat, b.id, ban_users=True, change_info=True)
    assert (await a.client.get_permissions(chat, b.id)).is_admin
    async with refused("CHAT_ADMIN_REQUIRED", 400):
        await b.client.edit_admin(chat.id, c.id, ban_users=True)
    async with refused("USER_CREATOR", 400):
        await a.client.edit_admin(chat, a.id, ban_users=True)
    await b.client.edit_permissions(chat.id, c.id, send_messages=False)
    async with refused("USER_BANNED_IN_CHANNEL", 400):
        await c.client.send_message(chat.id, "quiet?")
    await b.client.edit_permissions(chat.id, c.id)
    await c.client.send_message(chat.id, "free again")
    await b.client.edit_permissions(chat.id, c.id, view_messages=False)
    async with refused("CHANNEL_PRIVATE", 400):
        await c.client.send_message(chat.id, "outside")
    async with refused("CHANNEL_PRIVATE", 400):
        await c.client.get_messages(chat.id, limit=1)
    banned = await a.client.get_participants(chat, filter=t.ChannelParticipantsKicked(""))
    assert [user.id for user in banned] == [c.id]
    async with refused("USER_ADMIN_INVALID", 400):
        await b.client.edit_permissions(chat.id, a.id, view_messages=False)
    async with refused("USER_KICKED", 400):
        await b.client(f.channels.InviteToChannelRequest(await b.client.get_input_entity(chat.id), [c.id]))
    await a.client.edit_permissions(chat, c.id)
    async with refused("USER_NOT_PARTICIPANT", 400):
        await a.client(f.channels.GetParticipantRequest(chat, c.id))
    full = (await a.client(f.channels.GetFullChannelRequest(chat))).full_chat
    assert (full.participants_count, full.admins_count, full.kicked_count, full.about) == (2, 2, 0, "About it")


async def a_public_one_is_joined_and_left():
    chat, (a, b) = await channel("Anna", "Boris")
    (c,) = await friends("Clara")
    assert await a.client(f.channels.CheckUsernameRequest(chat, "team_of_anna"))
    assert await a.client(f.channels.UpdateUsernameRequest(chat, "team_of_anna"))
    async with refused("USERNAME_NOT_MODIFIED", 400):
        await a.client(f.channels.UpdateUsernameRequest(chat, "team_of_anna"))
    await a.client.send_message(chat, "open to all")
    found = await c.client.get_entity("team_of_anna")
    assert found.id == chat.id and found.left
    assert (await c.client.get_messages(found, limit=1))[0].message == "open to all"
    async with refused("CHAT_WRITE_FORBIDDEN", 403):
        await c.client.send_message(found, "let me in")
    await c.client(f.channels.JoinChannelRequest(found))
    joined = await service(b, t.MessageActionChatAddUser)
    while joined.action.users != [c.id]:
        joined = await service(b, t.MessageActionChatAddUser)
    assert joined.from_id.user_id == c.id
    await c.client.send_message(found, "thanks")
    link = await a.client(f.channels.ExportMessageLinkRequest(chat, 1))
    assert link.link == "https://t.me/team_of_anna/1"
    await c.client.delete_dialog(found)
    assert (await service(b, t.MessageActionChatDeleteUser)).action.user_id == c.id
    async with refused("USER_NOT_PARTICIPANT", 400):
        await c.client(f.channels.LeaveChannelRequest(found))
    invite = await a.client(f.messages.ExportChatInviteRequest(chat))
    joined = await c.client(f.messages.ImportChatInviteRequest(utils.parse_username(invite.link)[0]))
    assert joined.updates.chats[0].id == chat.id and not joined.updates.chats[0].left
    await a.client(f.channels.DeleteChannelRequest(chat))
    assert (await b.told(t.UpdateChannel)).channel_id == chat.id
    async with refused("CHANNEL_PRIVATE", 400):
        await b.client.send_message(chat.id, "gone?")


async def it_changes_its_looks():
    chat, (a, b) = await channel("Anna", "Boris")
    await service(b, t.MessageActionChatAddUser)
    await a.client(f.channels.EditTitleRequest(chat, "Crew"))
    assert (await service(b, t.MessageActionChatEditTitle)).action.title == "Crew"
    uploaded = t.InputChatUploadedPhoto(file=await a.client.upload_file(picture(50, 50), file_name="x.png"))
    await a.client(f.channels.EditPhotoRequest(chat, uploaded))
    line = await service(b, t.MessageActionChatEditPhoto)
    entity = await b.client.get_entity(chat.id)
    assert entity.title == "Crew" and entity.photo.photo_id == line.action.photo.id
    assert await b.client.download_profile_photo(entity, bytes) == picture(50, 50)
    await a.client(f.messages.EditChatDefaultBannedRightsRequest(chat, t.ChatBannedRights(None, change_info=True, send_photos=True)))
    async with refused("CHAT_ADMIN_REQUIRED", 400):
        await b.client(f.channels.EditTitleRequest(await b.client.get_input_entity(chat.id), "Mine"))
    async with refused("CHAT_SEND_PHOTOS_FORBIDDEN", 403):
        await b.client.send_file(chat.id, a_photo(5, 5))
    await b.client.send_file(chat.id, named(b"text", "x.txt"), force_document=True)
    sent = await a.client.send_message(chat, "pin me")
    await a.client.pin_message(chat, sent.id)
    assert (await b.told(t.UpdatePinnedChannelMessages)).messages == [sent.id]
    full = (await b.client(f.channels.GetFullChannelRequest(await b.client.get_input_entity(chat.id)))).full_chat
    assert full.pinned_msg_id == sent.id


async def who_was_away_catches_up():
    chat, (a, b) = await channel("Anna", "Boris")
    numbers = [(await a.client.send_message(chat, text)).id for text in ("old", "to change", "to delete")]
    before_all = await b.client(f.updates.GetStateRequest())
    there = await b.client.get_input_entity(chat.id)
    (before,) = (await b.client(f.messages.GetPeerDialogsRequest([t.InputDialogPeer(there)]))).dialogs
    difference = lambda pts, limit=100: b.client(f.updates.GetChannelDifferenceRequest(
        utils.get_input_channel(there), t.ChannelMessagesFilterEmpty(), pts, limit))
    await a.client.edit_message(chat, numbers[1], "changed")
    await a.client.delete_messages(chat, [numbers[2]])
    await a.client.send_message(chat, "new")
    missed = await difference(before.pts)
    assert isinstance(missed, t.updates.ChannelDifference) and missed.final, missed
    assert [m.message for m in missed.new_messages] == ["new"]
    changed, deleted = missed.other_updates
    assert changed.message.message == "changed" and changed.pts == before.pts + 1
    assert deleted.messages == [numbers[2]] and missed.pts == before.pts + 3
    state = await b.client(f.updates.GetStateRequest())
    whole = await b.client(f.updates.GetDifferenceRequest(state.pts, before_all.date, 0))
    (behind,) = whole.other_updates
    assert isinstance(behind, t.UpdateChannelTooLong) and (behind.channel_id, behind.pts) == (chat.id, missed.pts), behind
    part = await difference(before.pts, 1)
    assert not part.final and part.pts == before.pts + 1
    last = await difference(missed.pts)
    assert isinstance(last, t.updates.ChannelDifferenceEmpty) and last.pts == missed.pts
    post("/settings", {"difference_too_long": 1})
    far = await difference(before.pts)
    assert isinstance(far, t.updates.ChannelDifferenceTooLong) and far.dialog.pts == missed.pts and far.messages
    post("/settings", {"difference_too_long": 5000})
    async with refused("CHANNEL_INVALID", 400):
        await b.client(f.updates.GetChannelDifferenceRequest(
            t.InputChannel(chat.id, 1), t.ChannelMessagesFilterEmpty(), 1, 10))


async def a_puppet_leads_a_supergroup():
    a, b = await friends("Anna", "Boris")
    chat = post("/groups", {"creator": b.id, "title": "Puppets", "members": [a.id], "kind": "supergroup"})["id"]
    assert (await service(a, t.MessageActionChatAddUser)).action.users == [a.id]
    said = post(f"/users/{b.id}/messages", {"to": chat, "text": "welcome"})
    got = (await a.told(t.UpdateNewChannelMessage)).message
    assert (got.message, got.id, got.sender_id) == ("welcome", said["id"], b.id)
    post(f"/users/{b.id}/messages/{said['id']}", {"chat": chat, "text": "welcome!"})
    assert (await a.told(t.UpdateEditChannelMessage)).message.message == "welcome!"
    sent = await a.client.send_message(chat, "thanks")
    assert post(f"/users/{b.id}/read", {"other": chat}) == {"read": True}
    assert (await a.told(t.UpdateReadChannelOutbox)).max_id == sent.id
    post(f"/users/{b.id}/messages/{sent.id}/react", {"chat": chat, "emoji": "👍"})
    assert (await a.told(t.UpdateMessageReactions)).msg_id == sent.id
    assert control("DELETE", f"/users/{b.id}/messages/{said['id']}?chat={chat}") == {"deleted": 1}
    assert (await a.told(t.UpdateDeleteChannelMessages)).messages == [said["id"]]
    assert [line["text"] for line in seen(b.id, chat) if not line["action"]] == ["thanks"]
    control("DELETE", f"/groups/{chat}/members/{a.id}?by={b.id}")
    await asyncio.sleep(0.1)
    async with refused("CHANNEL_PRIVATE", 400):
        await a.client.send_message(chat, "outside")


run(
    a_supergroup_is_made_and_written_in,
    reading_is_counted_for_each_member,
    a_channel_is_written_by_its_admins,
    members_are_listed_led_and_put_out,
    a_public_one_is_joined_and_left,
    it_changes_its_looks,
    who_was_away_catches_up,
    a_puppet_leads_a_supergroup,
)
