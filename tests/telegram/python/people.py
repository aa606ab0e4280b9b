"""People who write to each other through Telethon, for the scripts beside this one."""

import asyncio
import base64
import io
import struct
import zlib

from peer import add_user, control, log_in, post
from telethon import events, functions as f, types as t


OGG_VOICE = b"OggS" + bytes(range(256)) * 20


class Person:
    """A logged-in client with a queue of all that it is told."""

    def __init__(self, client):
        self.client, self.updates = client, asyncio.Queue()
        client.add_event_handler(self.updates.put, events.Raw())

    @classmethod
    async def log_in(cls, phone):
        return cls(await log_in(phone))

    async def told(self, *kinds, within=5):
        """The next update of one of these kinds."""
        while True:
            update = await asyncio.wait_for(self.updates.get(), within)
            if isinstance(update, kinds):
                return update

    async def hears(self, within=5):
        """The next text, however it is told: (message's number, text, sent by this user)."""
        update = await self.told(t.UpdateNewMessage, t.UpdateShortMessage, within=within)
        if isinstance(update, t.UpdateShortMessage):
            return update.id, update.message, update.out
        return update.message.id, update.message.message, update.message.out


async def pair(**anna):
    """Two users who know each other, with the second device of the first: (anna, her other one, boris)."""
    a_id, a_phone = add_user("Anna", **anna)
    b_id, b_phone = add_user("Boris")
    a, a2, b = [await Person.log_in(phone) for phone in (a_phone, a_phone, b_phone)]
    a.id, a2.id, b.id, a.phone, b.phone = a_id, a_id, b_id, a_phone, b_phone
    await a.client(f.contacts.ResolvePhoneRequest(b_phone))
    await b.client(f.contacts.ResolvePhoneRequest(a_phone))
    return a, a2, b


def box(user_id):
    return control("GET", f"/users/{user_id}/messages")


async def until(holds, within=10):
    for _ in range(int(within / 0.05)):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it does not come true")


def picture(width, height):
    """A PNG of noise."""
    rows = b"".join(b"\0" + bytes((x * y * 7 + y) & 255 for x in range(width)) for y in range(height))
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def named(contents, name):
    """Contents that Telethon uploads under a name."""
    file = io.BytesIO(contents)
    file.name = name
    return file


def a_photo(width, height):
    """A picture that Telethon sends as a photo."""
    return named(picture(width, height), "photo.png")


def coded(contents):
    return base64.b64encode(contents).decode()


async def friends(*names):
    """Users who all know each other."""
    people = []
    for name in names:
        user_id, phone = add_user(name)
        person = await Person.log_in(phone)
        person.id, person.phone = user_id, phone
        person.client._request_retries, person.client._raise_last_call_error = 1, True
        people.append(person)
    for one in people:
        for other in people:
            if one is not other:
                await one.client(f.contacts.ResolvePhoneRequest(other.phone))
    return people


def seen(user_id, chat):
    """A chat as a user sees it, without what was deleted."""
    lines = control("GET", f"/users/{user_id}/messages?with={chat}")
    return [line for line in lines if not line["deleted"]]
