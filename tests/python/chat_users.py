"""Telegram users' chats on Telethon, one connection each, driven by JSON lines on standard input.

Arguments: JSON object {"host", "port", "dc", "pem", "phones"}.
Commands:  {"do": "code", "phone", "code"} {"do": "press", "user", "chat", "message", "data"} {"do": "send", "user", "to", "text"}
           {"do": "start", "user", "bot"} {"do": "block", "user", "name"} {"do": "unblock", "user", "name"}
           {"do": "accept", "user", "token"} {"do": "quit"}
           "to" is a number that the user has met or a username; "data" is base64, "token" base64url.
Events, one JSON object a line on standard output: code_wanted (phone), ready (phone, user), message and edited (user, id, chat,
text, out, via, action, reason, buttons: rows of {label, data}, keys: labels of a keyboard), deleted (user, ids),
answered (user, message, data, text, alert, pressed_ns, answered_ns), accepted (user), refused (user, message, data, error, pressed_ns),
error (user, where, error). Nanoseconds are those of the monotonic clock.
"""
import asyncio
import base64
import json
import os
import sys
import time

from telethon import TelegramClient, errors, events
from telethon.crypto import rsa
from telethon.sessions import MemorySession
from telethon.tl import functions, types

options = json.loads(sys.argv[1])


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def shown(message):
    """What a message shows, as far as tests look at it."""
    facts = {"id": message.id, "chat": getattr(message.peer_id, "user_id", None), "out": bool(message.out)}
    if isinstance(message, types.MessageService):
        reason = getattr(message.action, "reason", None)
        return {**facts, "text": "", "action": type(message.action).__name__, "reason": reason and type(reason).__name__}
    rows, keys = [], []
    if isinstance(message.reply_markup, types.ReplyInlineMarkup):
        for row in message.reply_markup.rows:
            rows.append([
                {"label": button.text, "data": base64.b64encode(button.type.data).decode()}
                for button in row.buttons
            ])
    elif isinstance(message.reply_markup, types.ReplyKeyboardMarkup):
        keys = [button.text for row in message.reply_markup.rows for button in row.buttons]
    media = message.media and type(message.media).__name__
    return {**facts, "text": message.message, "via": message.via_bot_id, "buttons": rows, "keys": keys, "media": media}


class User:
    def __init__(self, phone):
        self.phone = phone
        session = MemorySession()
        session.set_dc(options.get("dc", 2), options["host"], options["port"])
        self.client = TelegramClient(session, 12345, "0123456789abcdef0123456789abcdef", flood_sleep_threshold=0)
        self.code = asyncio.get_running_loop().create_future()
        self.id = None

    async def log_in(self):
        await self.client.connect()
        sent = await self.client.send_code_request(self.phone)
        say("code_wanted", phone=self.phone)
        await self.client.sign_in(self.phone, await self.code, phone_code_hash=sent.phone_code_hash)
        self.id = (await self.client.get_me()).id
        self.client.add_event_handler(self.on_update, events.Raw)
        say("ready", phone=self.phone, user=self.id)

    async def on_update(self, update):
        match update:
            case types.UpdateNewMessage(message=message):
                say("message", user=self.id, **shown(message))
            case types.UpdateShortMessage():
                say("message", user=self.id, id=update.id, chat=update.user_id, out=bool(update.out), text=update.message,
                    via=update.via_bot_id, buttons=[], keys=[], media=None)
            case types.UpdateEditMessage(message=message):
                say("edited", user=self.id, **shown(message))
            case types.UpdateDeleteMessages(messages=ids):
                say("deleted", user=self.id, ids=ids)

    async def press(self, chat, message, data):
        peer = await self.client.get_input_entity(chat)
        fields = {"user": self.id, "message": message, "data": data}
        pressed = time.monotonic_ns()
        try:
            answer = await self.client(functions.messages.GetBotCallbackAnswerRequest(
                peer=peer, msg_id=message, data=base64.b64decode(data)))
        except errors.RPCError as error:
            say("refused", error=f"{type(error).__name__}: {error}", pressed_ns=pressed, **fields)
            return
        say("answered", text=answer.message, alert=bool(answer.alert), pressed_ns=pressed,
            answered_ns=time.monotonic_ns(), **fields)

    async def do(self, wish):
        try:
            match wish["do"]:
                case "press":
                    await self.press(wish["chat"], wish["message"], wish["data"])
                case "send":
                    await self.client.send_message(wish["to"], wish["text"])
                case "start":
                    bot = await self.client.get_input_entity(wish["bot"])
                    await self.client(functions.messages.StartBotRequest(bot=bot, peer=bot, start_param=""))
                case "block":
                    await self.client(functions.contacts.BlockRequest(await self.client.get_input_entity(wish["name"])))
                case "accept":
                    await self.client(functions.auth.AcceptLoginTokenRequest(base64.urlsafe_b64decode(wish["token"] + "==")))
                    say("accepted", user=self.id)
                case "unblock":
                    await self.client(functions.contacts.UnblockRequest(await self.client.get_input_entity(wish["name"])))
                case other:
                    say("error", user=self.id, where=other, error="unknown command")
        except Exception as error:
            say("error", user=self.id, where=wish["do"], error=repr(error))


async def main():
    rsa.add_key(open(options["pem"]).read(), old=False)
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    users = [User(phone) for phone in options["phones"]]
    by_phone = {user.phone: user for user in users}
    tasks = {asyncio.ensure_future(user.log_in()) for user in users}
    while line := await reader.readline():
        wish = json.loads(line)
        if wish["do"] == "quit":
            break
        if wish["do"] == "code":
            by_phone[wish["phone"]].code.set_result(wish["code"])
            continue
        user = next(user for user in users if user.id == wish["user"])
        task = asyncio.ensure_future(user.do(wish))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    os._exit(0)


asyncio.run(main())
