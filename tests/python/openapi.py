"""Judges the description of an HTTP API by the rules of OpenAPI, and asks everything that it describes: without a token, and
with one, whether it is there and takes what it is described to take.

python openapi.py http://127.0.0.1:8091 <token> → JSON: how many operations, and those that were not answered as it says.
"""

import json
import re
import sys
import urllib.error
import urllib.request

from openapi_spec_validator import validate

BASE, TOKEN = sys.argv[1], sys.argv[2]
# What no operation takes: whoever is told so is told what it takes.
NOBODYS = "of_nobody"


def fetch(path, method="GET", said=None, **headers):
    body = json.dumps(said or {}).encode() if method == "POST" else None
    request = urllib.request.Request(BASE + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def asked_with_token(method, path, asked, operation):
    """What is wrong with an operation as whoever has a token sees it."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    query = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
    takes = None
    if schema and not schema["additionalProperties"]:
        takes = set(schema["properties"])
        status, told, _ = fetch(asked, "POST", {NOBODYS: 1}, **bearer)
    elif query:
        takes = query
        status, told, _ = fetch(f"{asked}?{NOBODYS}=1", **bearer)
    else:
        status, told, _ = fetch(asked, method.upper(), **bearer)
    if takes is None:
        # Nothing has the numbers that are asked for.
        is_there = status != 405 and (status != 404 or "{" in path) and "ok" in json.loads(told)
        return [] if is_there else [[method, path, status, told]]
    message = json.loads(told).get("error", {}).get("message", "")
    named = re.split(r": want |; it takes ", message, maxsplit=1)[1:]
    if status != 400 or not named or set(re.findall(r"[a-z_]+", named[0])) != takes:
        return [[method, path, status, told, sorted(takes)]]
    return []


document = json.loads(fetch("/api/v1/openapi.json")[1])
validate(document)
wrong, count = [], 0
for path, item in document["paths"].items():
    for method, operation in item.items():
        count += 1
        asked = path.replace("{id}", "1").replace("{job_id}", "0a").replace("{call_id}", "1")
        status, told, _ = fetch(asked, method.upper())
        shape = json.loads(told)
        if status != 401 or shape["ok"] is not False or shape["error"]["code"] != "unauthorized":
            wrong.append([method, path, status, told])
        wrong += asked_with_token(method, path, asked, operation)
pages = {}
for wanted, headers in (("en", {"Accept-Language": "en"}), ("ru", {"Accept-Language": "ru-RU,ru;q=0.9"})):
    status, told, answered = fetch("/api/v1/docs", **headers)
    missing = [path for path in document["paths"] if path not in told]
    pages[wanted] = [status, f'lang="{wanted}"' in told, missing, "default-src 'none'" in answered["Content-Security-Policy"]]
print(json.dumps({"operations": count, "wrong": wrong, "pages": pages}))
