"""A bot on GREEN-API's official library for Telegram: it answers every text with the same text behind "echo: ".

Arguments: JSON object {"host", "instance", "token"}.
Commands on standard input: {"do": "count"}, {"do": "quit"}.
Events, one JSON object a line on standard output: ready, once it has emptied its queue; heard (chat, sender, text, kind) and
answered (code, id) for every text; count (count), the notifications that wait.
"""
import json
import logging
import os
import sys
import threading

from telegram_chatbot_python import GreenAPIBot

options = json.loads(sys.argv[1])


def say(event, **fields):
    print(json.dumps({"event": event, **fields}, ensure_ascii=False), flush=True)


logging.getLogger("telegram-chatbot-python").setLevel(logging.ERROR)
bot = GreenAPIBot(str(options["instance"]), options["token"], host=options["host"], media=options["host"])


@bot.router.message()
def message(notification):
    text = notification.message_text
    kind = notification.event["messageData"]["typeMessage"]
    say("heard", chat=notification.chat, sender=notification.sender, text=text, kind=kind)
    if text is not None:
        answer = notification.answer(f"echo: {text}")
        say("answered", code=answer.code, id=(answer.data or {}).get("idMessage"))


say("ready")
threading.Thread(target=bot.run_forever, daemon=True).start()
for line in sys.stdin:
    command = json.loads(line)
    if command["do"] == "count":
        say("count", **bot.api.queues.getWebhooksCount().data)
    if command["do"] == "quit":
        break
# The library's loop knows no end.
sys.stdout.flush()
os._exit(0)
