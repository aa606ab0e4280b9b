"""Judges the description of an HTTP API by the rules of OpenAPI, and asks everything that it describes without a token.

python openapi.py http://127.0.0.1:8091 → JSON: how many operations, and those that were not answered as it says.
"""

import json
import sys
import urllib.error
import urllib.request

from openapi_spec_validator import validate

BASE = sys.argv[1]


def fetch(path, method="GET", **headers):
    body = b"{}" if method == "POST" else None
    request = urllib.request.Request(BASE + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


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
pages = {}
for wanted, headers in (("en", {"Accept-Language": "en"}), ("ru", {"Accept-Language": "ru-RU,ru;q=0.9"})):
    status, told, answered = fetch("/api/v1/docs", **headers)
    missing = [path for path in document["paths"] if path not in told]
    pages[wanted] = [status, f'lang="{wanted}"' in told, missing, "default-src 'none'" in answered["Content-Security-Policy"]]
print(json.dumps({"operations": count, "wrong": wrong, "pages": pages}))
