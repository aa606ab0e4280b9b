"""Bots, as python-telegram-bot leads them and Telethon users meet them."""

import asyncio
import contextlib
import itertools
import json
import time

from peer import add_user, control, log_in, post, refused, run
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, InlineQueryResultArticle
from telegram import InputMediaDocument, InputMediaPhoto, InputTextMessageContent, Update
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter, TimedOut
from telegram.ext import Application, CallbackQueryHandler, CommandHandler, InlineQueryHandler, TypeHandler
from telethon import events, functions as f, types as t

_names = (f"line_{number}_bot" for number in itertools.count(1))
# A PNG of one pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d49444154789c6360f8cf00"
    "00000301010018dd8db00000000049454e44ae426082"
)


def add_bot(**more):
    return post("/bots", {"username": next(_names), "name": "Line", **more})


def led(made, token=None):
    """The bot as python-telegram-bot has it."""
    return Bot(token or made["token"], base_url=made["api"] + "/bot", base_file_url=made["api"] + "/file/bot")


@contextlib.asynccontextmanager
async def polling(made, *handlers):
    """The bot with its own program around it."""
    builder = Application.builder().token(made["token"])
    builder = builder.base_url(made["api"] + "/bot").base_file_url(made["api"] + "/file/bot")
    app = builder.build()
    app.add_handlers(handlers)
    async with app:
        await app.start()
        await app.updater.start_polling(timeout=10)
        try:
            yield app
        finally:
            await app.updater.stop()
            await app.stop()


@contextlib.asynccontextmanager
async def fails(text):
    """What is inside is a bad request, which is told in words that begin so."""
    try:
        yield
    except BadRequest as error:
        assert str(error).startswith(text), error
    else:
        raise AssertionError(f"wanted {text}")


async def user(name, **more):
    """A new user, logged in, with a queue of the messages that come: (client, id, queue)."""
    user_id, phone = add_user(name, **more)
    client = await log_in(phone)
    queue = asyncio.Queue()

    async def keep(event):
        queue.put_nowait(event.message)

    client.add_event_handler(keep, events.NewMessage(incoming=True))
    client.add_event_handler(keep, events.MessageEdited())
    return client, user_id, queue


async def soon(queue):
    return await asyncio.wait_for(queue.get(), 5)


async def next_updates(bot, offset=None, timeout=5):
    """What came, confirmed at once."""
    updates = await bot.get_updates(offset=offset, timeout=timeout)
    if updates:
        await bot.get_updates(offset=updates[-1].update_id + 1, timeout=0)
    return updates


async def a_bot_tells_who_it_is_and_answers_start():
    made = add_bot()
    client, user_id, messages = await user("Anna", last_name="Ivanova", language="ru")

    async def start(update, context):
        sender = update.effective_user
        await update.message.reply_text(
            f"<b>Hello</b> {sender.full_name} {sender.language_code} {context.args}", parse_mode="HTML")

    async with polling(made, CommandHandler("start", start)) as app:
        me = app.bot.bot
        assert (me.id, me.username, me.is_bot, me.supports_inline_queries) == (made["id"], made["username"], True, True)
        entity = await client.get_entity(made["username"])
        assert entity.bot and entity.bot_inline_placeholder == "" and entity.id == made["id"]
        await client.send_message(entity, "/start")
        answer = await soon(messages)
        assert answer.raw_text == "Hello Anna Ivanova ru []"
        assert [(type(e), e.offset, e.length) for e in answer.entities] == [(t.MessageEntityBold, 0, 5)]
        await client(f.messages.StartBotRequest(entity, entity, "abc_1"))
        assert (await soon(messages)).raw_text == "Hello Anna Ivanova ru ['abc_1']"
        async with refused("USER_ID_INVALID", 400):
            protocol = t.PhoneCallProtocol(65, 92, ["9.0.0"], udp_p2p=True)
            await client(f.phone.RequestCallRequest(entity, g_a_hash=b"\0" * 32, protocol=protocol, random_id=1))
        assert await app.bot.set_my_commands([("start", "Begin")], language_code="ru")
        assert [it.command for it in await app.bot.get_my_commands(language_code="ru")] == ["start"]
        assert await app.bot.get_my_commands() == ()
        assert (await app.bot.get_my_description()).description == ""
        chat = await app.bot.get_chat(user_id)
        assert (chat.first_name, chat.type) == ("Anna", "private")
    assert control("GET", f"/bots/{made['id']}")["pending"] == 0
    await client.disconnect()


async def a_result_is_sent_its_button_pressed_and_both_copies_change():
    made = add_bot(inline_feedback=True)
    caller, caller_id, _ = await user("Caller")
    person, person_id, seen = await user("Person", username="a_person", language="en")
    presses, chosen = asyncio.Queue(), asyncio.Queue()

    async def inline(update, context):
        query = update.inline_query
        assert (query.query, query.from_user.id, query.chat_type) == ("keypad:7", caller_id, "private")
        keys = [[InlineKeyboardButton("5", callback_data="d:7:5"), InlineKeyboardButton("6", callback_data="d:7:6")]]
        await query.answer(
            [InlineQueryResultArticle("keypad", "Keypad", InputTextMessageContent("Press a key"),
                                      reply_markup=InlineKeyboardMarkup(keys))],
            cache_time=0, is_personal=True)

    async def press(update, context):
        query = update.callback_query
        await query.answer(f"{query.data} \u2713", show_alert=query.data.endswith("6"))
        presses.put_nowait(query)

    async def other(update, context):
        if update.chosen_inline_result:
            chosen.put_nowait(update.chosen_inline_result)

    handlers = InlineQueryHandler(inline), CallbackQueryHandler(press), TypeHandler(Update, other)
    async with polling(made, *handlers) as app:
        to = await caller.get_input_entity("a_person")
        results = await caller.inline_query(made["username"], "keypad:7", entity=to)
        assert (results[0].title, results[0].result.id) == ("Keypad", "keypad")
        random_id = 77
        request = f.messages.SendInlineBotResultRequest(to, results.query_id, "keypad", random_id=random_id)
        sent = await caller(request)
        assert isinstance(sent.updates[0], t.UpdateMessageID) and sent.updates[0].random_id == random_id
        caller._request_retries, caller._raise_last_call_error = 1, True  # it repeats what fails with 500
        async with refused("RANDOM_ID_DUPLICATE", 500):
            await caller(request)
        ours = sent.updates[1].message
        assert (ours.via_bot_id, ours.message, ours.out) == (made["id"], "Press a key", True)
        theirs = await soon(seen)
        assert (theirs.via_bot_id, theirs.raw_text) == (made["id"], "Press a key")
        begin = time.monotonic()
        answer = await theirs.click(data=b"d:7:5")
        took_ms = (time.monotonic() - begin) * 1000
        assert (answer.message, answer.alert) == ("d:7:5 \u2713", False) and took_ms < 1000, took_ms
        assert (await theirs.click(text="6")).alert
        query = await soon(presses)
        assert query.message is None and query.from_user.id == person_id
        assert query.from_user.language_code == "en"
        again = await soon(presses)
        assert (again.inline_message_id, again.chat_instance) == (query.inline_message_id, query.chat_instance)
        pick = await soon(chosen)
        assert (pick.result_id, pick.query) == ("keypad", "keypad:7")
        assert pick.inline_message_id == query.inline_message_id
        async with refused("DATA_INVALID", 400):
            await person(f.messages.GetBotCallbackAnswerRequest(theirs.peer_id, theirs.id, data=b"d:7:9"))
        with contextlib.suppress(asyncio.QueueEmpty):
            seen.get_nowait()
        assert await app.bot.edit_message_text("Ended", inline_message_id=query.inline_message_id) is True
        edited = await soon(seen)
        assert (edited.id, edited.raw_text, edited.reply_markup) == (theirs.id, "Ended", None)
        [mine] = await caller.get_messages("a_person", ids=[ours.id])
        assert mine.raw_text == "Ended" and mine.edit_date
        with contextlib.suppress(BadRequest):
            await app.bot.edit_message_text("Ended", inline_message_id=query.inline_message_id)
            raise AssertionError("an edit that changes nothing")
        async with refused("QUERY_ID_INVALID", 400):
            await person(f.messages.SendInlineBotResultRequest(
                await person.get_input_entity(made["username"]), results.query_id, "keypad", random_id=1))
        async with refused("RESULT_ID_INVALID", 400):
            await caller(f.messages.SendInlineBotResultRequest(to, results.query_id, "other", random_id=78))
    print(f"press answered in {took_ms:.1f} ms")
    await caller.disconnect()
    await person.disconnect()


async def answers_are_kept_for_as_long_and_for_whom_the_bot_says():
    made = add_bot()
    (one, _, _), (two, _, _) = await user("One"), await user("Two")
    asked = []

    async def inline(update, context):
        query = update.inline_query
        asked.append((query.query, query.offset))
        article = InlineQueryResultArticle("1", f"Number {len(asked)}", InputTextMessageContent("x"))
        await query.answer([article], cache_time=60, is_personal=query.query == "mine", next_offset="page2")

    async def title(client, text, offset=""):
        bot = await client.get_input_entity(made["username"])
        request = f.messages.GetInlineBotResultsRequest(bot, t.InputPeerEmpty(), text, offset)
        answer = await client(request)
        assert answer.next_offset == "page2" and answer.cache_time == 60
        return answer.results[0].title

    async with polling(made, InlineQueryHandler(inline)):
        assert [await title(one, "all"), await title(one, "all"), await title(two, "all")] == ["Number 1"] * 3
        assert [await title(one, "mine"), await title(one, "mine")] == ["Number 2"] * 2
        assert await title(two, "mine") == "Number 3"
        assert await title(one, "all", "page2") == "Number 4"
    assert asked == [("all", ""), ("mine", ""), ("mine", ""), ("all", "page2")]
    post(f"/bots/{made['id']}", {"inline": False})
    async with refused("BOT_INLINE_DISABLED", 400):
        await one.inline_query(made["username"], "all")
    async with refused("BOT_INVALID", 400):
        await one(f.messages.GetInlineBotResultsRequest("me", t.InputPeerEmpty(), "x", ""))
    await one.disconnect()
    await two.disconnect()


async def a_bot_that_says_nothing_times_out_and_comes_too_late():
    made = add_bot()
    client, _, messages = await user("Patient")
    async with led(made) as bot:
        await client.send_message(made["username"], "hi")
        [update] = await next_updates(bot)
        keys = InlineKeyboardMarkup([[InlineKeyboardButton("1", callback_data="one")]])
        sent = await bot.send_message(update.message.chat_id, "buttons", reply_markup=keys)
        assert sent.reply_markup == keys
        message = await soon(messages)
        post("/timers", {"scale": 0.02})
        try:
            async with refused("BOT_RESPONSE_TIMEOUT", 400):
                await client.inline_query(made["username"], "slow")
            async with refused("BOT_RESPONSE_TIMEOUT", 400):
                await client(f.messages.GetBotCallbackAnswerRequest(made["username"], message.id, data=b"one"))
        finally:
            post("/timers", {"scale": 1.0})
        inline, press = await next_updates(bot)
        too_old = "Query is too old and response timeout expired or query id is invalid"
        for answer in (
            bot.answer_inline_query(inline.inline_query.id, []),
            bot.answer_callback_query(press.callback_query.id, "late"),
            bot.answer_callback_query("17", "unknown"),
        ):
            try:
                await answer
                raise AssertionError("too late")
            except BadRequest as error:
                assert str(error).lower() == too_old.lower(), error
        query = press.callback_query
        assert query.message.message_id == sent.message_id and query.inline_message_id is None
        await client.disconnect()


async def whom_a_bot_may_write_to():
    made = add_bot()
    client, user_id, messages = await user("Moody")
    stranger, stranger_id, _ = await user("Stranger")

    async def fails(call, kind, text):
        try:
            await call
        except kind as error:
            assert str(error) == text, error
        else:
            raise AssertionError(f"wanted {text}")

    async with led(made) as bot:
        await fails(bot.send_message(user_id, "x"), BadRequest, "Chat not found")
        await fails(bot.send_message(1, "x"), BadRequest, "Chat not found")
        asking = asyncio.create_task(stranger.inline_query(made["username"], "x"))
        [update] = await next_updates(bot)
        await bot.answer_inline_query(update.inline_query.id, [])
        await asking
        initiate = "Forbidden: bot can't initiate conversation with a user"
        await fails(bot.send_message(stranger_id, "x"), Forbidden, initiate)
        await client.send_message(made["username"], "hi")
        await next_updates(bot)
        sent = await bot.send_message(user_id, "  one  ")
        assert sent.text == "one" and (await soon(messages)).raw_text == "one"
        await client(f.contacts.BlockRequest(made["username"]))
        await fails(bot.send_message(user_id, "x"), Forbidden, "Forbidden: bot was blocked by the user")
        [update] = await next_updates(bot)
        change = update.my_chat_member
        assert (change.old_chat_member.status, change.new_chat_member.status) == ("member", "kicked")
        assert change.from_user.id == user_id
        await client(f.contacts.UnblockRequest(made["username"]))
        [update] = await next_updates(bot)
        assert update.my_chat_member.new_chat_member.status == "member"
        edited = await bot.edit_message_text("two", user_id, sent.message_id)
        assert edited.text == "two" and edited.edit_date and (await soon(messages)).raw_text == "two"
        not_modified = (
            "Message is not modified: specified new message content and reply markup are exactly the same as a "
            "current content and reply markup of the message")
        await fails(bot.edit_message_text("two", user_id, sent.message_id), BadRequest, not_modified)
        await fails(bot.edit_message_text("x", user_id, 999), BadRequest, "Message to edit not found")
        keys = lambda data: InlineKeyboardMarkup([[InlineKeyboardButton("1", callback_data=data)]])
        await fails(bot.send_message(user_id, "x", reply_markup=keys("x" * 65)), BadRequest, "Button_data_invalid")
        assert await bot.send_message(user_id, "x", reply_markup=keys("x" * 64))
        await fails(bot.send_message(user_id, " "), BadRequest, "Message text is empty")
        await fails(bot.send_message(user_id, "x" * 4097), BadRequest, "Message is too long")
        assert await bot.delete_message(user_id, sent.message_id)
        await fails(bot.delete_message(user_id, sent.message_id), BadRequest, "Message to delete not found")
        first = await client.send_message(made["username"], "typo")
        await first.edit("word")
        came = await next_updates(bot)
        assert [u.message.text for u in came if u.message] == ["typo"]
        assert [u.edited_message.text for u in came if u.edited_message] == ["word"]
    post(f"/bots/{made['id']}/token")
    try:
        async with led(made):
            raise AssertionError("the old token is good")
    except InvalidToken:
        pass
    await client.disconnect()
    await stranger.disconnect()


async def texts_are_formatted_in_every_way():
    made = add_bot()
    client, user_id, messages = await user("Typesetter")
    sources = {
        "HTML": '<b>a.</b> <i>b</i> <code>c_</code> <a href="https://a.b/">d</a><pre>e*</pre>',
        "Markdown": "*a.* _b_ `c_` [d](https://a.b/)```\ne*```",
        "MarkdownV2": "*a\\.* _b_ `c_` [d](https://a.b/)```\ne*```",
    }
    broken = {
        "HTML": ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        "Markdown": ("a *b", "Can't find end of the entity starting at byte offset 2"),
        "MarkdownV2": ("a.", "Character '.' is reserved and must be escaped with the preceding '\\'"),
    }
    wanted = [(t.MessageEntityBold, 0, 2), (t.MessageEntityItalic, 3, 1), (t.MessageEntityCode, 5, 2),
              (t.MessageEntityTextUrl, 8, 1), (t.MessageEntityPre, 9, 2)]
    async with led(made) as bot:
        await client.send_message(made["username"], "hi")
        await next_updates(bot)
        for mode, source in sources.items():
            sent = await bot.send_message(user_id, source, parse_mode=mode)
            assert sent.text == "a. b c_ de*" and sent.entities[3].url == "https://a.b/", mode
            came = await soon(messages)
            assert [(type(e), e.offset, e.length) for e in came.entities] == wanted, mode
            text, why = broken[mode]
            try:
                await bot.send_message(user_id, text, parse_mode=mode)
                raise AssertionError(f"{mode} that is broken")
            except BadRequest as error:
                assert str(error) == f"Can't parse entities: {why.lower()}" or str(error).endswith(why), error
    await client.disconnect()


async def files_are_sent_and_read():
    made = add_bot()
    client, user_id, messages = await user("Album")
    async with led(made) as bot:
        await client.send_message(made["username"], "hi")
        await next_updates(bot)
        sent = await bot.send_photo(user_id, PIXEL, caption="a pixel")
        assert (sent.photo[0].width, sent.caption) == (1, "a pixel")
        got = await soon(messages)
        assert got.photo and got.raw_text == "a pixel" and await got.download_media(bytes) == PIXEL
        assert bytes(await (await bot.get_file(sent.photo[0].file_id)).download_as_bytearray()) == PIXEL
        again = await bot.send_photo(user_id, sent.photo[0].file_id)
        assert again.photo[0].file_unique_id == sent.photo[0].file_unique_id
        await soon(messages)
        sent = await bot.send_document(user_id, b"text", filename="a.txt")
        assert (sent.document.file_name, sent.document.file_size) == ("a.txt", 4)
        assert (await soon(messages)).file.name == "a.txt"
        sent = await bot.send_contact(user_id, "+79990001122", "Sales")
        assert sent.contact.phone_number == "+79990001122"
        assert (await soon(messages)).contact.first_name == "Sales"
        assert await bot.send_chat_action(user_id, "typing")
    await client.disconnect()


async def files_are_exchanged_and_places_sent_and_many_messages_go_at_once():
    made = add_bot()
    client, user_id, messages = await user("Traveller")
    async with led(made) as bot:
        await client.send_message(made["username"], "hi")
        [update] = await next_updates(bot)
        sent = await bot.send_photo(user_id, PIXEL, caption="a pixel")
        photo = await soon(messages)
        edited = await bot.edit_message_media(
            InputMediaDocument(b"text", caption="<b>a</b> text", parse_mode="HTML", filename="a.txt"),
            user_id, sent.message_id)
        assert (edited.document.file_name, edited.caption, edited.photo) == ("a.txt", "a text", ())
        came = await soon(messages)
        assert (came.id, came.file.name, came.raw_text) == (photo.id, "a.txt", "a text")
        assert await came.download_media(bytes) == b"text" and came.edit_date
        again = InputMediaPhoto(sent.photo[0].file_id)
        edited = await bot.edit_message_media(again, user_id, sent.message_id)
        assert edited.photo == sent.photo and edited.caption is None
        assert (await soon(messages)).photo
        async with fails("Message is not modified"):
            await bot.edit_message_media(again, user_id, sent.message_id)
        async with fails("Message can't be edited"):
            await bot.edit_message_media(again, user_id, update.message.message_id)

        place = await bot.send_location(user_id, 55.75, 37.62, horizontal_accuracy=20)
        assert (place.location.latitude, place.location.horizontal_accuracy) == (55.75, 20)
        came = await soon(messages)
        assert (came.geo.lat, came.geo.long) == (55.75, 37.62)
        live = await bot.send_location(user_id, -1, -2.5, live_period=60)
        assert live.location.live_period == 60 and (await soon(messages)).media.period == 60
        venue = await bot.send_venue(user_id, 55.75, 37.62, "Office", "Street 1", foursquare_id="x")
        assert (venue.venue.title, venue.venue.address) == ("Office", "Street 1")
        assert (venue.venue.foursquare_id, venue.location) == ("x", venue.venue.location)
        assert (await soon(messages)).venue.title == "Office"
        async with fails("Wrong location specified"):
            await bot.send_location(user_id, 91, 0)
        shown = control("GET", f"/users/{user_id}/messages")[-1]
        wanted = {"latitude": 55.75, "longitude": 37.62, "title": "Office", "address": "Street 1"}
        assert (shown["media"], shown["place"]) == ("messageMediaVenue", wanted)

        numbers = [update.message.message_id, sent.message_id, venue.message_id, 999]
        copies = await bot.copy_messages(user_id, user_id, numbers)
        got = [await soon(messages) for _ in copies]
        assert [len(copies), got[0].raw_text, got[0].fwd_from] == [3, "hi", None]
        assert got[1].photo and got[2].venue
        forwards = await bot.forward_messages(user_id, user_id, numbers)
        got = [await soon(messages) for _ in forwards]
        assert [message.fwd_from.from_id.user_id for message in got] == [user_id, made["id"], made["id"]]
        async with fails("There are no messages to copy"):
            await bot.copy_messages(user_id, user_id, [999])
        async with fails("Message identifiers must be in a strictly increasing order"):
            await bot.forward_messages(user_id, user_id, [2, 1])
    await client.disconnect()


async def reactions_and_pins_are_seen_on_both_sides():
    made = add_bot()
    client, user_id, _ = await user("Liked")
    marks = asyncio.Queue()

    async def keep(update):
        marks.put_nowait(update)

    kinds = t.UpdateEditMessage, t.UpdatePinnedMessages
    client.add_event_handler(keep, events.Raw(kinds))
    async with led(made) as bot:
        mine = await client.send_message(made["username"], "hi")
        [update] = await next_updates(bot)
        number = update.message.message_id
        shown = lambda: next(m for m in control("GET", f"/users/{user_id}/messages") if m["id"] == mine.id)
        assert await bot.set_message_reaction(user_id, number, "\U0001f44d")
        came = (await soon(marks)).message
        assert (came.id, came.raw_text, came.edit_date) == (mine.id, "hi", None)
        [felt] = came.reactions.recent_reactions
        assert (felt.reaction.emoticon, felt.peer_id.user_id, felt.my) == ("\U0001f44d", made["id"], False)
        assert shown()["reactions"] == [{"from": made["id"], "emoji": "\U0001f44d"}]
        assert await bot.set_message_reaction(user_id, number, "\U0001f44d") and marks.empty()
        async with fails("Reaction_invalid"):
            await bot.set_message_reaction(user_id, number, "x")
        async with fails("Message to react not found"):
            await bot.set_message_reaction(user_id, 999, "\U0001f44d")
        assert await bot.set_message_reaction(user_id, number)
        assert (await soon(marks)).message.reactions is None and shown()["reactions"] == []

        assert await bot.pin_chat_message(user_id, number)
        pin = await soon(marks)
        assert (pin.messages, pin.pinned, pin.peer.user_id) == ([mine.id], True, made["id"])
        [now, line] = reversed(await client.get_messages(made["username"], limit=2))
        assert now.pinned and isinstance(line.action, t.MessageActionPinMessage)
        assert line.reply_to.reply_to_msg_id == mine.id and line.sender_id == made["id"]
        assert shown()["pinned"] and (await bot.get_chat(user_id)).pinned_message.text == "hi"
        assert await bot.unpin_chat_message(user_id)
        pin = await soon(marks)
        assert (pin.messages, pin.pinned) == ([mine.id], False)
        assert not shown()["pinned"] and (await bot.get_chat(user_id)).pinned_message is None
        async with fails("Message to unpin not found"):
            await bot.unpin_chat_message(user_id)
        async with fails("Message to pin not found"):
            await bot.pin_chat_message(user_id, 999)
    await client.disconnect()


async def of_two_pollers_one_is_told_of_the_other():
    made = add_bot()

    async def polled():
        while control("GET", f"/bots/{made['id']}")["last_poll_ms"] is None:
            await asyncio.sleep(0.01)

    async with led(made) as one, led(made) as two:
        first = asyncio.create_task(one.get_updates(timeout=10))
        await asyncio.wait_for(polled(), 5)
        second = asyncio.create_task(two.get_updates(timeout=1))
        try:
            await first
            raise AssertionError("nobody was told")
        except Conflict as error:
            assert str(error) == (
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
        assert await second == ()


async def a_program_lives_through_what_the_bot_api_does_to_it():
    made = add_bot()
    client, _, messages = await user("Steady")

    async def echo(update, context):
        await update.message.reply_text("echo " + update.message.text)

    def fault(action, method="getUpdates", times=1):
        post("/bot-faults", {"match": {"bot": made["id"], "method": method, "times": times}, "action": action})

    async with polling(made, TypeHandler(Update, echo)):
        for number, action in enumerate([
            {"do": "retry_after", "seconds": 1},
            {"do": "html", "code": 502},
            {"do": "error", "code": 409, "description": "Conflict: terminated by other getUpdates request"},
            {"do": "drop"},
            {"do": "delay", "ms": 200},
        ]):
            fault(action)
            await client.send_message(made["username"], str(number))
            await client.send_message(made["username"], str(number))
            assert (await asyncio.wait_for(messages.get(), 10)).raw_text == f"echo {number}"
            assert (await asyncio.wait_for(messages.get(), 10)).raw_text == f"echo {number}"
    async with led(made) as bot:
        fault({"do": "retry_after", "seconds": 3}, "getMe")
        fault({"do": "html", "code": 502}, "getMe")
        fault({"do": "drop"}, "getMe")
        fault({"do": "hang"}, "getMe")
        try:
            await bot.get_me()
            raise AssertionError("no 429")
        except RetryAfter as error:
            wait = error.retry_after
            assert (wait if isinstance(wait, int) else wait.total_seconds()) == 3
        for kind in (NetworkError, NetworkError, TimedOut):
            try:
                await bot.get_me(read_timeout=0.5)
                raise AssertionError("no error")
            except kind:
                pass
        assert (await bot.get_me()).id == made["id"]
    lines = control("GET", f"/bot-journal?bot={made['id']}&method=getme")
    told = [line["outcome"] for line in lines if line["outcome"].startswith("fault")]
    assert told == [
        "fault: 429 Too Many Requests: retry after 3", "fault: 502 HTML", "fault: dropped", "fault: hangs"]
    assert control("DELETE", "/bot-faults") == {"ok": True}
    await client.disconnect()


async def updates_are_posted_with_the_secret_until_they_are_taken():
    made = add_bot()
    client, user_id, messages = await user("Hooked")
    posted, refusals = asyncio.Queue(), [500]

    async def receive(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:"))
        body = json.loads(await reader.readexactly(length))
        status = refusals.pop() if refusals else 200
        posted.put_nowait((head, body, status))
        reply = b""
        if status == 200 and "message" in body:
            reply = json.dumps({"method": "sendMessage", "chat_id": user_id, "text": "by the hook"}).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(reply)}\r\n\r\n".encode() + reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with led(made) as bot:
        assert await bot.set_webhook(f"http://127.0.0.1:{port}/hook", secret_token="s3cret", max_connections=3)
        post("/timers", {"scale": 0.1})
        await client.send_message(made["username"], "hi")
        for status in (500, 200):
            head, body, got = await asyncio.wait_for(posted.get(), 5)
            assert got == status and body["message"]["text"] == "hi"
            assert head.startswith("POST /hook HTTP/1.1\r\n")
            assert "x-telegram-bot-api-secret-token: s3cret" in head.lower()
        post("/timers", {"scale": 1.0})
        assert (await soon(messages)).raw_text == "by the hook"
        info = await bot.get_webhook_info()
        assert info.url.endswith("/hook") and info.pending_update_count == 0 and info.max_connections == 3
        assert info.last_error_message == "Wrong response from the webhook: 500 X"
        try:
            await bot.get_updates()
            raise AssertionError("both at once")
        except Conflict as error:
            assert "can't use getUpdates method while webhook is active" in str(error)
        assert await bot.delete_webhook()
        await client.send_message(made["username"], "later")
        [update] = await bot.get_updates(timeout=5)
        assert update.message.text == "later"
    server.close()
    await client.disconnect()


run(
    a_bot_tells_who_it_is_and_answers_start,
    a_result_is_sent_its_button_pressed_and_both_copies_change,
    answers_are_kept_for_as_long_and_for_whom_the_bot_says,
    a_bot_that_says_nothing_times_out_and_comes_too_late,
    whom_a_bot_may_write_to,
    texts_are_formatted_in_every_way,
    files_are_sent_and_read,
    files_are_exchanged_and_places_sent_and_many_messages_go_at_once,
    reactions_and_pins_are_seen_on_both_sides,
    of_two_pollers_one_is_told_of_the_other,
    a_program_lives_through_what_the_bot_api_does_to_it,
    updates_are_posted_with_the_secret_until_they_are_taken,
)
