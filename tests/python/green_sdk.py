"""GREEN-API's official clients of Python, unmodified, at a server of ours: what to call comes as JSON lines on standard input.

Arguments: JSON object {"package", "host", "instance", "token", "partner"?}: the client's package, as telegram_api_client_python,
the server, the instance and its token, a partner's token.
Prints {"methods": [...]} first: everything that can be called, as "sending.sendMessage". Each command {"call", "with", "is_async"?}
is answered by {"code", "data"}; "with" is an array of arguments, or an object of named ones. The code of a call that the client
itself fails at is null, and data then says why.
"""
import asyncio
import importlib
import inspect
import json
import logging
import sys

options = json.loads(sys.argv[1])
API = importlib.import_module(options["package"] + ".API")
logging.getLogger(options["package"].replace("_", "-")).disabled = True
# The clients print now and then; only our own lines go to standard output.
lines, sys.stdout = sys.stdout, sys.stderr


def say(**fields):
    print(json.dumps(fields, ensure_ascii=False), file=lines, flush=True)


def nouns():
    """The client's parts by their names."""
    api = API.GreenAPI(str(options["instance"]), options["token"], host=options["host"], media=options["host"])
    found = {name: noun for name, noun in vars(api).items() if type(noun).__module__.startswith(options["package"])}
    if "partner" in options:
        found["partner"] = API.GreenApiPartner(options["partner"], host=options["host"]).partner
    return found


def main():
    parts = nouns()
    methods = [
        f"{noun}.{name}" for noun, part in parts.items()
        for name, _ in inspect.getmembers(part, inspect.ismethod)
        if not name.startswith("_") and not name.endswith("Async")
    ]
    say(methods=methods)
    for line in sys.stdin:
        wish = json.loads(line)
        noun, name = wish["call"].split(".")
        given = wish["with"]
        ordered, by_name = (given, {}) if isinstance(given, list) else ([], given)
        try:
            if wish.get("is_async"):
                response = asyncio.run(getattr(parts[noun], f"{name}Async")(*ordered, **by_name))
            else:
                response = getattr(parts[noun], name)(*ordered, **by_name)
            say(code=response.code, data=response.data if response.code == 200 else response.error)
        except Exception as error:
            say(code=None, data=repr(error))


main()
