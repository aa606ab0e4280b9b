"""A bot on GREEN-API's official library for Telegram: it answers every text with the same text behind "echo: ", and every
file with a file.

Arguments: JSON object {"host", "instance", "token", "letter"}: the server, the instance and its token, a file to answer with.
Once it has emptied its queue it prints {"methods": ["count"]}, and {"heard": kind, "body", "code", "id"} for all that comes,
with what became of the answer. {"call": "count", "with": []} is answered by {"code": 200, "data": {"count"}}: the
notifications that wait.
"""
import json
import logging
import os
import sys
import threading

from telegram_chatbot_python import GreenAPIBot

options = json.loads(sys.argv[1])
# The library prints now and then; only our own lines go to standard output.
lines, sys.stdout = sys.stdout, sys.stderr
turn = threading.Lock()


def say(**fields):
    with turn:
        print(json.dumps(fields, ensure_ascii=False), file=lines, flush=True)


logging.getLogger("telegram-chatbot-python").setLevel(logging.ERROR)
bot = GreenAPIBot(str(options["instance"]), options["token"], host=options["host"], media=options["host"])


@bot.router.message()
def message(notification):
    text = notification.message_text
    if text is None:
        answer = notification.answer_with_file(options["letter"], "answer.txt", "for you")
    else:
        answer = notification.answer(f"echo: {text}")
    kind = notification.event["messageData"]["typeMessage"]
    say(heard=kind, body=notification.event, code=answer.code, id=(answer.data or {}).get("idMessage"))


say(methods=["count"])
threading.Thread(target=bot.run_forever, daemon=True).start()
for line in sys.stdin:
    say(code=200, data=bot.api.queues.getWebhooksCount().data)
# The library's loop knows no end.
os._exit(0)
