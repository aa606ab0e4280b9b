"""Telegram accounts on Telethon that look at what others do to them, driven by JSON lines on standard input.

Arguments: JSON object {"host", "port", "dc", "pem", "phones"}: whose accounts they are.
First come code_wanted (phone), which {"code", "phone"} answers, and ready (phone, id). Then each command {"n", "who", "do", ...}
is answered by {"n", "value"} or {"n", "error"}, and {"told": kind, "who", "update"} stands for every update. "who" is a phone
number. What can be done is what the class Person has; chats are numbers as bots know them, or @names.
"""
import asyncio
import base64
import datetime
import hashlib
import io
import json
import os
import sys

from telethon import TelegramClient, events, utils
from telethon.crypto import rsa
from telethon.sessions import MemorySession
from telethon.tl import functions as f, types as t

import qr

options = json.loads(sys.argv[1])


def plain(value):
    """What JSON does not know."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return int(value.timestamp())
    return str(value)


def say(**fields):
    print(json.dumps(fields, ensure_ascii=False, default=plain), flush=True)


def sha256(contents):
    return hashlib.sha256(contents).hexdigest()


def named(contents, name):
    """Contents that Telethon uploads under a name."""
    file = io.BytesIO(base64.b64decode(contents))
    file.name = name
    return file


def author(forwarded):
    """Who wrote a message first, as far as it says."""
    return forwarded.from_name or (forwarded.from_id and utils.get_peer_id(forwarded.from_id))


def keyboard(markup):
    """What the keyboard in place of letters is like, and what its buttons ask for."""
    if not isinstance(markup, t.ReplyKeyboardMarkup):
        return None
    asks = [[type(button.type).__name__.removeprefix("ButtonType") for button in row.buttons] for row in markup.rows]
    return {"resize": bool(markup.resize), "one_time": bool(markup.single_use), "asks": asks}


class Person:
    def __init__(self, phone):
        self.phone = phone
        session = MemorySession()
        session.set_dc(options.get("dc", 2), options["host"], options["port"])
        self.client = TelegramClient(session, 12345, "0123456789abcdef0123456789abcdef", flood_sleep_threshold=0)
        self.code = asyncio.get_running_loop().create_future()

    async def log_in(self):
        await self.client.connect()
        sent = await self.client.send_code_request(self.phone)
        say(code_wanted=self.phone)
        await self.client.sign_in(self.phone, await self.code, phone_code_hash=sent.phone_code_hash)
        own = (await self.client.get_me()).id
        self.client.add_event_handler(self.on_update, events.Raw)
        say(ready=self.phone, id=own)

    async def on_update(self, update):
        say(told=type(update).__name__, who=self.phone, update=update.to_dict())

    async def shown(self, message):
        """A message as it looks, with its file's contents."""
        media, file = message.media, None
        if isinstance(media, (t.MessageMediaPhoto, t.MessageMediaDocument)):
            contents = await self.client.download_media(message, file=bytes)
            file = {"name": message.file.name, "mime": message.file.mime_type, "sha256": sha256(contents)}
        place = getattr(media, "geo", None)
        poll = getattr(media, "poll", None)
        venue = media if isinstance(media, t.MessageMediaVenue) else None
        return {
            "id": message.id, "out": message.out, "text": message.message or "", "from": message.sender_id,
            "reply_to": message.reply_to_msg_id, "edited": message.edit_date is not None,
            "forwarded": message.fwd_from is not None, "author": message.fwd_from and author(message.fwd_from),
            # The words that each entity covers, by Telethon's own count.
            "entities": [[type(entity).__name__, words] for entity, words in message.get_entities_text()],
            "spans": [[entity.offset, entity.length] for entity in message.entities or []],
            "silent": bool(message.silent), "album": message.grouped_id, "date": message.date,
            "markup": message.reply_markup and type(message.reply_markup).__name__,
            "buttons": [[button.text for button in row] for row in message.buttons or []],
            "keyboard": keyboard(message.reply_markup),
            "action": message.action and type(message.action).__name__,
            "media": media and type(media).__name__, "file": file,
            "place": place and {"lat": place.lat, "long": place.long, "title": venue and venue.title,
                                "address": venue and venue.address},
            "contact": {"phone": media.phone_number, "first_name": media.first_name, "last_name": media.last_name}
            if isinstance(media, t.MessageMediaContact) else None,
            "poll": poll and {"question": poll.question.text, "answers": [answer.text.text for answer in poll.answers],
                              "multiple": bool(poll.multiple_choice), "public": bool(poll.public_voters)},
        }

    async def meet(self, phone):
        """Learns whose a phone number is."""
        return (await self.client(f.contacts.ResolvePhoneRequest(phone=phone))).users[0].id

    async def messages(self, chat, limit=30):
        """The last messages of a chat, the newest first."""
        found = await self.client.get_messages(await self.peer(chat), limit=limit)
        return [await self.shown(message) for message in found]

    async def dialogs(self):
        found = [dialog for folder in (0, 1) for dialog in await self.client.get_dialogs(folder=folder)]
        return {
            str(dialog.id): {
                "name": dialog.name, "archived": dialog.archived, "unread": dialog.unread_count,
                "read_inbox": dialog.dialog.read_inbox_max_id, "read_outbox": dialog.dialog.read_outbox_max_id,
            } for dialog in found
        }

    async def group(self, chat):
        """A group with its members; nothing of one that the account is not in."""
        peer = await self.peer(chat)
        entity = await self.client.get_entity(peer)
        if isinstance(entity, t.ChatForbidden) or getattr(entity, "left", False):
            return None
        contents = await self.client.download_profile_photo(entity, file=bytes)
        members = {}
        for member in await self.client.get_participants(entity):
            members[str(member.id)] = type(member.participant).__name__
        rights = entity.default_banned_rights
        return {"title": entity.title, "photo": contents and sha256(contents), "members": members,
                "banned": rights and {key: value for key, value in rights.to_dict().items() if value is True}}

    async def person(self, chat):
        """Somebody's card."""
        full = await self.client(f.users.GetFullUserRequest(await self.client.get_input_entity(chat)))
        user = full.users[0]
        contents = await self.client.download_profile_photo(user, file=bytes)
        return {"id": user.id, "first_name": user.first_name, "last_name": user.last_name, "phone": user.phone,
                "contact": bool(user.contact), "photo": contents and sha256(contents)}

    async def contacts(self):
        found = await self.client(f.contacts.GetContactsRequest(hash=0))
        return {str(user.id): " ".join(filter(None, [user.first_name, user.last_name])) for user in found.users}

    async def saved(self):
        """How many numbers that are nobody's are among the contacts."""
        return (await self.client(f.contacts.GetContactsRequest(hash=0))).saved_count

    async def note(self, chat, first_name, last_name):
        """Puts somebody among the contacts."""
        who = await self.client.get_input_entity(chat)
        await self.client(f.contacts.AddContactRequest(id=who, first_name=first_name, last_name=last_name, phone=""))

    async def sessions(self):
        """How many sessions the account has."""
        return len((await self.client(f.account.GetAuthorizationsRequest())).authorizations)

    async def scan(self, png):
        """Lets a session in that shows a code."""
        token = qr.read(base64.b64decode(png)).removeprefix("tg://login?token=")
        await self.client(f.auth.AcceptLoginTokenRequest(base64.urlsafe_b64decode(token + "==")))

    async def send(self, chat, text, reply_to=None):
        return (await self.client.send_message(await self.peer(chat), text, reply_to=reply_to)).id

    async def send_file(self, chat, contents, name, caption=""):
        sent = await self.client.send_file(await self.peer(chat), named(contents, name), caption=caption, force_document=True)
        return sent.id

    async def send_album(self, chat, files, caption=""):
        """Files are pairs of contents and a name."""
        files = [named(contents, name) for contents, name in files]
        sent = await self.client.send_file(await self.peer(chat), files, caption=caption)
        return [message.id for message in sent]

    async def send_html(self, chat, text, silent=False):
        return (await self.client.send_message(await self.peer(chat), text, parse_mode="html", silent=silent)).id

    async def press(self, chat, id, text):
        """Presses a button under a message; what the bot answers."""
        message = await self.client.get_messages(await self.peer(chat), ids=id)
        answer = await message.click(text=text)
        return answer and answer.message

    async def migrate(self, chat):
        """Makes a supergroup of a basic group, and gives its number."""
        done = await self.client(f.messages.MigrateChatRequest(chat_id=(await self.peer(chat)).chat_id))
        return next(utils.get_peer_id(group) for group in done.chats if isinstance(group, t.Channel))

    async def read(self, chat):
        await self.client.send_read_acknowledge(await self.peer(chat))

    async def rename(self, username):
        """Takes a username; an empty one gives it up."""
        await self.client(f.account.UpdateUsernameRequest(username=username))

    async def set_picture(self, contents):
        file = await self.client.upload_file(named(contents, "picture.jpg"))
        await self.client(f.photos.UploadProfilePhotoRequest(file=file))

    async def peer(self, chat):
        """A chat that the account has, whose access hash may have come with it only now."""
        try:
            return await self.client.get_input_entity(chat)
        except ValueError:
            await self.client.get_dialogs()
            return await self.client.get_input_entity(chat)


async def main():
    rsa.add_key(open(options["pem"]).read(), old=False)
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    people = {phone: Person(phone) for phone in options["phones"]}
    tasks = {asyncio.ensure_future(person.log_in()) for person in people.values()}

    async def do(person, wish):
        arguments = {key: value for key, value in wish.items() if key not in ("n", "who", "do")}
        try:
            say(n=wish["n"], value=await getattr(person, wish["do"])(**arguments))
        except Exception as error:
            say(n=wish["n"], error=repr(error))

    while line := await reader.readline():
        wish = json.loads(line)
        if "code" in wish:
            people[wish["phone"]].code.set_result(wish["code"])
            continue
        task = asyncio.ensure_future(do(people[wish["who"]], wish))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    os._exit(0)


asyncio.run(main())
