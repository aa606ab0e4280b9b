"""A program that leads a bot through a Bot API, with a library as published.

Arguments: JSON object {"library": "telegram" or "telebot", "api": "http://host:port", "token", "hook": port or null}.
It repeats what it is told, offers buttons for "menu", sends files for "files" and reads them back, and counts on a webhook
where "hook" is given, else on getUpdates. Events, one JSON object a line on standard output: ready, and heard (text) for each
message that came.
"""

import asyncio
import hashlib
import io
import json
import logging
import sys

options = json.loads(sys.argv[1])
# A bot that is killed and comes back is part of the tests.
logging.getLogger("telegram.ext.Updater").setLevel(logging.CRITICAL)
API, TOKEN, HOOK = options["api"], options["token"], options["hook"]
# A PNG of one pixel, and three megabytes that no packer makes smaller.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d49444154789c6360f8cf00"
    "00000301010018dd8db00000000049454e44ae426082"
)
LETTER = b"".join(hashlib.sha512(b"%d" % number).digest() for number in range(3 * 2**20 // 64))


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


async def with_telegram():
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
    from telegram.ext import Application, CallbackQueryHandler, MessageHandler, filters

    async def message(update, context):
        text = update.message.text
        say("heard", text=text)
        if text == "menu":
            keys = [[InlineKeyboardButton("Yes", callback_data="order:12:yes")]]
            await update.message.reply_text("Sure?", reply_markup=InlineKeyboardMarkup(keys))
        elif text == "files":
            sent = await update.message.reply_photo(PIXEL)
            picture = await (await sent.photo[-1].get_file()).download_as_bytearray()
            sent = await update.message.reply_document(io.BytesIO(LETTER), filename="письмо.bin")
            letter = await (await sent.document.get_file()).download_as_bytearray()
            same = bytes(picture) == PIXEL and bytes(letter) == LETTER and sent.document.file_name == "письмо.bin"
            await update.message.reply_text("same" if same else "different")
        elif not text.startswith("/") and text != "my key":
            await update.message.reply_text(f"echo: {text}")

    async def press(update, context):
        await update.callback_query.answer(f"pressed {update.callback_query.data}")

    builder = Application.builder().token(TOKEN).base_url(f"{API}/bot").base_file_url(f"{API}/file/bot")
    if HOOK:
        # As the library's own example of a web server of one's own has it.
        builder = builder.updater(None)
    app = builder.build()
    app.add_handler(MessageHandler(filters.TEXT, message))
    app.add_handler(CallbackQueryHandler(press))
    async with app:
        await app.start()
        if HOOK:
            from aiohttp import web

            async def receive(request):
                assert request.headers["X-Telegram-Bot-Api-Secret-Token"] == "s3cret"
                await app.update_queue.put(Update.de_json(await request.json(), app.bot))
                return web.Response()

            server = web.Application()
            server.router.add_post("/telegram", receive)
            runner = web.AppRunner(server)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", HOOK).start()
            assert await app.bot.set_webhook(
                f"http://127.0.0.1:{HOOK}/telegram", secret_token="s3cret", allowed_updates=Update.ALL_TYPES)
            info = await app.bot.get_webhook_info()
            assert info.url.endswith("/telegram") and info.max_connections == 40, info
        else:
            await app.updater.start_polling(timeout=5, allowed_updates=Update.ALL_TYPES)
        me = app.bot.bot
        say("ready", username=me.username)
        await asyncio.Event().wait()


def with_telebot():
    import telebot
    from telebot import apihelper, types

    apihelper.API_URL = API + "/bot{0}/{1}"
    apihelper.FILE_URL = API + "/file/bot{0}/{1}"
    bot = telebot.TeleBot(TOKEN, threaded=False)

    @bot.message_handler(func=lambda message: True)
    def message(message):
        say("heard", text=message.text)
        if message.text == "menu":
            keys = types.InlineKeyboardMarkup()
            keys.add(types.InlineKeyboardButton("Yes", callback_data="order:12:yes"))
            bot.send_message(message.chat.id, "Sure?", reply_markup=keys)
        elif message.text == "files":
            sent = bot.send_photo(message.chat.id, PIXEL)
            picture = bot.download_file(bot.get_file(sent.photo[-1].file_id).file_path)
            sent = bot.send_document(message.chat.id, ("letter.bin", LETTER))
            letter = bot.download_file(bot.get_file(sent.document.file_id).file_path)
            bot.send_message(message.chat.id, "same" if (picture, letter) == (PIXEL, LETTER) else "different")
        elif not message.text.startswith("/") and message.text != "my key":
            bot.reply_to(message, f"echo: {message.text}")

    @bot.callback_query_handler(func=lambda press: True)
    def press(press):
        bot.answer_callback_query(press.id, f"pressed {press.data}")

    say("ready", username=bot.get_me().username)
    bot.infinity_polling(timeout=10, long_polling_timeout=5, allowed_updates=telebot.util.update_types)


if options["library"] == "telegram":
    asyncio.run(with_telegram())
else:
    with_telebot()
