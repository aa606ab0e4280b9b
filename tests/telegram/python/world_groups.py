"""Basic groups as Telethon leads them and lives in them."""

from people import Person, a_photo, friends, picture, seen
from peer import control, post, refused, run
from telethon import functions as f, types as t, utils


async def group(*names, title="Sales"):
    """A group made by the first of these: (its number as bots see it, people)."""
    people = await friends(*names)
    first, *others = people
    made = await first.client(f.messages.CreateChatRequest([other.id for other in others], title))
    (chat,) = made.updates.chats
    return -chat.id, people, made


async def service(person, kind):
    while True:
        message = (await person.told(t.UpdateNewMessage)).message
        if isinstance(message, t.MessageService):
            assert isinstance(message.action, kind), message
            return message


async def a_group_is_made_and_all_are_told():
    chat, (a, b, c), made = await group("Anna", "Boris", "Clara")
    assert not made.missing_invitees
    (info,) = made.updates.chats
    assert (info.title, info.creator, info.participants_count) == ("Sales", True, 3)
    for person in (b, c):
        line = await service(person, t.MessageActionChatCreate)
        assert line.action.title == "Sales" and line.from_id.user_id == a.id and -line.peer_id.chat_id == chat
        assert set(line.action.users) == {a.id, b.id, c.id}
    full = await b.client(f.messages.GetFullChatRequest(-chat))
    kinds = {one.user_id: type(one).__name__ for one in full.full_chat.participants.participants}
    assert kinds == {a.id: "ChatParticipantCreator", b.id: "ChatParticipant", c.id: "ChatParticipant"}, kinds
    assert {user.id for user in await b.client.get_participants(chat)} == {a.id, b.id, c.id}
    (dialog,) = await b.client.get_dialogs()
    assert dialog.is_group and dialog.name == "Sales" and dialog.id == chat
    async with refused("CHAT_TITLE_EMPTY", 400):
        await a.client(f.messages.CreateChatRequest([b.id], " "))
    (known,) = [one for one in control("GET", "/groups") if one["id"] == chat]
    assert known["kind"] == "basic" and [one["user"] for one in known["members"]] == [a.id, b.id, c.id]


async def what_is_written_reaches_every_member():
    chat, (a, b, c), _ = await group("Anna", "Boris", "Clara")
    a2 = await Person.log_in(a.phone)
    sent = await a.client.send_message(chat, "hello **all**")
    assert sent.out and sent.text == "hello **all**" and sent.chat_id == chat
    numbers = {}
    for person in (b, c):
        short = await person.told(t.UpdateShortChatMessage)
        assert (short.message, short.from_id, short.chat_id, short.out) == ("hello all", a.id, -chat, False)
        numbers[person] = short.id
    assert (await a2.told(t.UpdateShortChatMessage)).out
    reply = await b.client.send_message(chat, "hi", reply_to=numbers[b])
    short = await c.told(t.UpdateShortChatMessage)
    assert short.reply_to.reply_to_msg_id == numbers[c] and reply.reply_to.reply_to_msg_id == numbers[b]
    await b.client.send_file(chat, a_photo(12, 12), caption="look")
    got = (await service_or_text(c)).message
    assert got.photo and got.message == "look" and got.from_id.user_id == b.id and got.sender_id == b.id
    await a.client.edit_message(chat, sent.id, "hello you")
    for person in (b, c):
        change = (await person.told(t.UpdateEditMessage)).message
        assert (change.id, change.message) == (numbers[person], "hello you")
    assert (await b.client.get_dialogs())[0].unread_count == 2
    await b.client.send_read_acknowledge(chat)
    read = await a.told(t.UpdateReadHistoryOutbox)
    assert (-read.peer.chat_id, read.max_id) == (chat, sent.id)
    await a.client.delete_messages(chat, [sent.id])
    for person in (b, c):
        assert (await person.told(t.UpdateDeleteMessages)).messages == [numbers[person]]
    async with refused("MESSAGE_DELETE_FORBIDDEN", 403):
        await c.client.delete_messages(chat, [got.id])
    async with a.client.action(chat, "typing"):
        assert (await c.told(t.UpdateChatUserTyping)).from_id.user_id == a.id
    texts = [line["text"] for line in seen(c.id, chat) if not line["action"]]
    assert texts == ["hi", "look"], texts
    forwarded = await c.client.forward_messages(b.id, got.id, chat)
    assert forwarded.fwd_from.from_id.user_id == b.id


async def service_or_text(person):
    while True:
        update = await person.told(t.UpdateNewMessage)
        if isinstance(update.message, t.Message):
            return update


async def who_comes_and_who_goes_is_told():
    chat, (a, b, c, d), _ = await group("Anna", "Boris", "Clara", "Dmitri")
    stranger, late = await friends("Stranger", "Late")
    await a.client(f.contacts.ResolvePhoneRequest(late.phone))
    made = await a.client(f.messages.AddChatUserRequest(-chat, late.id, 50))
    assert not made.missing_invitees
    line = await service(late, t.MessageActionChatAddUser)
    assert line.action.users == [late.id] and line.from_id.user_id == a.id
    async with refused("USER_ALREADY_PARTICIPANT", 400):
        await a.client(f.messages.AddChatUserRequest(-chat, late.id, 0))
    await service(b, t.MessageActionChatCreate)
    assert (await service(b, t.MessageActionChatAddUser)).action.users == [late.id]
    async with refused("CHAT_ADMIN_REQUIRED", 400):
        await b.client(f.messages.DeleteChatUserRequest(-chat, c.id))
    await a.client.kick_participant(chat, b.id)
    gone = await service(b, t.MessageActionChatDeleteUser)
    assert gone.action.user_id == b.id
    (seen_by_b,) = (await b.client(f.messages.GetChatsRequest([-chat]))).chats
    assert isinstance(seen_by_b, t.ChatForbidden)
    async with refused("CHAT_WRITE_FORBIDDEN", 403):
        await b.client.send_message(chat, "still here?")
    await c.client.delete_dialog(chat)
    assert (await service(late, t.MessageActionChatDeleteUser)).action.user_id == b.id
    assert (await service(late, t.MessageActionChatDeleteUser)).action.user_id == c.id
    async with refused("USER_NOT_PARTICIPANT", 400):
        await a.client(f.messages.DeleteChatUserRequest(-chat, b.id))
    post(f"/users/{stranger.id}", {"uninvitable": True})
    await a.client(f.contacts.ResolvePhoneRequest(stranger.phone))
    kept_out = await a.client(f.messages.AddChatUserRequest(-chat, stranger.id, 0))
    assert [one.user_id for one in kept_out.missing_invitees] == [stranger.id]
    async with refused("CHAT_ID_INVALID", 400):
        await a.client(f.messages.AddChatUserRequest(77, stranger.id, 0))
    async with refused("USER_NOT_PARTICIPANT", 400):
        await stranger.client(f.messages.EditChatTitleRequest(-chat, "Mine"))
    assert [one["user"] for one in control("GET", f"/groups/{chat}")["members"]] == [a.id, d.id, late.id]


async def a_group_changes_its_looks():
    chat, (a, b), _ = await group("Anna", "Boris")
    await service(b, t.MessageActionChatCreate)
    await b.client(f.messages.EditChatTitleRequest(-chat, "Support"))
    line = await service(a, t.MessageActionChatEditTitle)
    assert line.action.title == "Support" and line.from_id.user_id == b.id
    async with refused("CHAT_NOT_MODIFIED", 400):
        await a.client(f.messages.EditChatTitleRequest(-chat, "Support"))
    uploaded = t.InputChatUploadedPhoto(file=await a.client.upload_file(picture(40, 40), file_name="x.png"))
    await a.client(f.messages.EditChatPhotoRequest(-chat, uploaded))
    line = await service(b, t.MessageActionChatEditPhoto)
    entity = await b.client.get_entity(chat)
    assert entity.photo.photo_id == line.action.photo.id
    assert await b.client.download_profile_photo(entity, bytes) == picture(40, 40)
    assert await b.client.download_media(line, bytes) == picture(40, 40)
    await a.client(f.messages.EditChatPhotoRequest(-chat, t.InputChatPhotoEmpty()))
    await service(b, t.MessageActionChatDeletePhoto)
    peer = await a.client.get_input_entity(chat)
    assert await a.client(f.messages.EditChatAboutRequest(peer, "All about sales"))
    assert (await b.client(f.messages.GetFullChatRequest(-chat))).full_chat.about == "All about sales"
    async with refused("CHAT_ABOUT_NOT_MODIFIED", 400):
        await a.client(f.messages.EditChatAboutRequest(peer, "All about sales"))
    async with refused("CHAT_ABOUT_TOO_LONG", 400):
        await a.client(f.messages.EditChatAboutRequest(peer, "x" * 256))


async def admins_may_what_members_may_not():
    chat, (a, b, c), _ = await group("Anna", "Boris", "Clara")
    peer = await a.client.get_input_entity(chat)
    rights = t.ChatBannedRights(until_date=None, send_messages=True, change_info=True, invite_users=True)
    await a.client(f.messages.EditChatDefaultBannedRightsRequest(peer, rights))
    told = await b.told(t.UpdateChatDefaultBannedRights)
    assert told.default_banned_rights.send_messages
    async with refused("CHAT_WRITE_FORBIDDEN", 403):
        await b.client.send_message(chat, "may I?")
    async with refused("CHAT_ADMIN_REQUIRED", 400):
        await b.client(f.messages.EditChatTitleRequest(-chat, "Mine"))
    async with refused("CHAT_ADMIN_REQUIRED", 400):
        await b.client(f.messages.EditChatAdminRequest(-chat, c.id, True))
    assert await a.client(f.messages.EditChatAdminRequest(-chat, b.id, True))
    full = (await c.client(f.messages.GetFullChatRequest(-chat))).full_chat
    assert isinstance([one for one in full.participants.participants if one.user_id == b.id][0], t.ChatParticipantAdmin)
    assert (await b.client.get_entity(chat)).admin_rights.ban_users
    await b.client.send_message(chat, "now I may")
    await b.client(f.messages.EditChatTitleRequest(-chat, "Ours"))
    await b.client.kick_participant(chat, c.id)
    assert await a.client(f.messages.EditChatAdminRequest(-chat, b.id, False))
    async with refused("CHAT_WRITE_FORBIDDEN", 403):
        await b.client.send_message(chat, "no more")
    async with refused("USER_NOT_PARTICIPANT", 400):
        await a.client(f.messages.EditChatAdminRequest(-chat, c.id, True))


async def a_link_lets_others_in():
    chat, (a, b), _ = await group("Anna", "Boris")
    (late,) = await friends("Late")
    peer = await a.client.get_input_entity(chat)
    invite = await a.client(f.messages.ExportChatInviteRequest(peer))
    name, _ = utils.parse_username(invite.link)
    assert invite.permanent and name, invite
    preview = await late.client(f.messages.CheckChatInviteRequest(name))
    assert (preview.title, preview.participants_count, preview.channel) == ("Sales", 2, False)
    joined = await late.client(f.messages.ImportChatInviteRequest(name))
    assert joined.updates.chats[0].id == -chat, joined
    await service(b, t.MessageActionChatCreate)
    line = await service(b, t.MessageActionChatJoinedByLink)
    assert line.from_id.user_id == late.id and line.action.inviter_id == a.id
    async with refused("USER_ALREADY_PARTICIPANT", 400):
        await late.client(f.messages.ImportChatInviteRequest(name))
    assert isinstance(await late.client(f.messages.CheckChatInviteRequest(name)), t.ChatInviteAlready)
    newer = await a.client(f.messages.ExportChatInviteRequest(peer))
    async with refused("INVITE_HASH_EXPIRED", 400):
        await late.client(f.messages.CheckChatInviteRequest(name))
    async with refused("INVITE_HASH_INVALID", 400):
        await late.client(f.messages.CheckChatInviteRequest("nonsense"))
    async with refused("CHAT_ADMIN_REQUIRED", 400):
        await b.client(f.messages.ExportChatInviteRequest(await b.client.get_input_entity(chat)))
    full = (await a.client(f.messages.GetFullChatRequest(-chat))).full_chat
    assert full.exported_invite.link == newer.link
    once = await a.client(f.messages.ExportChatInviteRequest(peer, usage_limit=1, title="once"))
    assert not once.permanent
    more, even_more = await friends("More", "EvenMore")
    name, _ = utils.parse_username(once.link)
    await more.client(f.messages.ImportChatInviteRequest(name))
    async with refused("INVITE_HASH_EXPIRED", 400):
        await even_more.client(f.messages.ImportChatInviteRequest(name))


async def a_puppet_leads_a_group():
    a, b, c = await friends("Anna", "Boris", "Clara")
    chat = post("/groups", {"creator": b.id, "title": "Puppets", "members": [a.id]})["id"]
    line = await service(a, t.MessageActionChatCreate)
    assert -line.peer_id.chat_id == chat and line.from_id.user_id == b.id
    said = post(f"/users/{b.id}/messages", {"to": chat, "text": "welcome"})
    short = await a.told(t.UpdateShortChatMessage)
    assert (short.message, short.from_id) == ("welcome", b.id) and said["twin"] is None
    post(f"/users/{b.id}/typing", {"other": chat})
    assert (await a.told(t.UpdateChatUserTyping)).from_id.user_id == b.id
    assert post(f"/groups/{chat}/members", {"user": c.id, "by": b.id}) == {"ok": True}
    assert (await service(a, t.MessageActionChatAddUser)).action.users == [c.id]
    post(f"/groups/{chat}", {"by": b.id, "title": "Renamed", "admin": a.id})
    assert (await service(a, t.MessageActionChatEditTitle)).action.title == "Renamed"
    assert (await a.client.get_entity(chat)).admin_rights
    control("DELETE", f"/groups/{chat}/members/{c.id}?by={b.id}")
    assert (await service(a, t.MessageActionChatDeleteUser)).action.user_id == c.id
    link = post(f"/groups/{chat}/link", {"by": b.id})["link"]
    await c.client(f.messages.ImportChatInviteRequest(utils.parse_username(link)[0]))
    sent = await a.client.send_message(chat, "thanks")
    assert post(f"/users/{b.id}/read", {"other": chat}) == {"read": True}
    assert (await a.told(t.UpdateReadHistoryOutbox)).max_id == sent.id
    post(f"/groups/{chat}", {"by": b.id, "forbid": ["send_messages"], "no_admin": a.id})
    async with refused("CHAT_WRITE_FORBIDDEN", 403):
        await a.client.send_message(chat, "quiet")
    texts = [(line["from"], line["text"], line["action"]) for line in seen(c.id, chat)]
    assert texts[-1] == (a.id, "thanks", None) and texts[-2][2] == "messageActionChatJoinedByLink", texts


async def a_group_becomes_a_supergroup():
    chat, (a, b), _ = await group("Anna", "Boris")
    async with refused("CHAT_ADMIN_REQUIRED", 400):
        await b.client(f.messages.MigrateChatRequest(-chat))
    moved = await a.client(f.messages.MigrateChatRequest(-chat))
    (channel,) = [one for one in moved.chats if isinstance(one, t.Channel)]
    (old,) = [one for one in moved.chats if isinstance(one, t.Chat)]
    assert old.deactivated and old.migrated_to.channel_id == channel.id and channel.megagroup
    await service(b, t.MessageActionChatCreate)
    assert (await service(b, t.MessageActionChatMigrateTo)).action.channel_id == channel.id
    line = (await b.told(t.UpdateNewChannelMessage)).message
    assert isinstance(line.action, t.MessageActionChannelMigrateFrom) and line.action.chat_id == -chat
    async with refused("PEER_ID_INVALID", 400):
        await b.client.send_message(chat, "old")
    await b.client.send_message(t.PeerChannel(channel.id), "new")
    assert (await a.told(t.UpdateNewChannelMessage)).message.message == "new"


run(
    a_group_is_made_and_all_are_told,
    what_is_written_reaches_every_member,
    who_comes_and_who_goes_is_told,
    a_group_changes_its_looks,
    admins_may_what_members_may_not,
    a_link_lets_others_in,
    a_puppet_leads_a_group,
    a_group_becomes_a_supergroup,
)
