"""Texts with marks, and what Telethon reads in them: a line of JSON each, as messages/testdata/markup.jsonl keeps them.

Only what Telethon and the Bot API read alike is in them: no blanks at the ends of marks, no mark inside its own kind.
"""

import json
import random

from telethon.extensions import html, markdown
from telethon.tl import types

NAMES = {
    types.MessageEntityBold: "bold",
    types.MessageEntityItalic: "italic",
    types.MessageEntityUnderline: "underline",
    types.MessageEntityStrike: "strikethrough",
    types.MessageEntityCode: "code",
    types.MessageEntityPre: "pre",
    types.MessageEntityTextUrl: "text_link",
    types.MessageEntityCustomEmoji: "custom_emoji",
    types.MessageEntityBlockquote: "blockquote",
}
WORDS = ["Заказ", "№ 5", "👍🏽", "order", "𝔘nit", "ёж и уж", "готов.", "(1)", "日本", "e\u0301", "👨‍👩‍👧"]
HTML_WORDS = [*WORDS, "a &amp; b", "&lt;1&gt;", "&quot;да&quot;", "&#8381;", "&#x20bd;"]
HTML_TAGS = {
    "bold": [("<b>", "</b>"), ("<strong>", "</strong>"), ("<B >", "</B>")],
    "italic": [("<i>", "</i>"), ("<em>", "</em>")],
    "underline": [("<u>", "</u>")],
    "strikethrough": [("<s>", "</s>"), ("<del>", "</del>")],
    "text_link": [('<a href="https://a.example/?b=1&amp;c=д">', "</a>"), ("<a href='tg://resolve?domain=x'>", "</a>")],
    "blockquote": [("<blockquote>", "</blockquote>"), ("<blockquote expandable>", "</blockquote>")],
    "custom_emoji": [('<tg-emoji emoji-id="5368324170671202286">', "</tg-emoji>")],
    "code": [("<code>", "</code>")],
    "pre": [("<pre>", "</pre>"), ('<pre><code class="language-rust">', "</code></pre>")],
}
MARKS = {
    "bold": [("**", "**")],
    "strikethrough": [("~~", "~~")],
    "text_link": [("[", "](https://a.example/?b=1&c=2)")],
    "code": [("`", "`")],
}
ALONE = ("code", "pre", "custom_emoji")
# Telethon takes the words of a Markdown link as they are.
MARKS_ALONE = ("code", "text_link")


def made(dice, words, tags, alone, outer=(), depth=0):
    parts = []
    for _ in range(dice.randint(1, 3)):
        kinds = [kind for kind in tags if kind not in outer]
        if depth < 3 and kinds and not set(outer) & set(alone) and dice.random() < 0.6:
            kind = dice.choice(kinds)
            begin, end = dice.choice(tags[kind])
            parts.append(begin + made(dice, words, tags, alone, (*outer, kind), depth + 1) + end)
        else:
            parts.append(dice.choice(words))
    return dice.choice(["\n", " ", " ", ", "]).join(parts)


def told(entity):
    name = NAMES[type(entity)]
    if name == "blockquote" and entity.collapsed:
        name = "expandable_blockquote"
    found = {"type": name, "offset": entity.offset, "length": entity.length}
    if name == "pre" and entity.language:
        found["language"] = entity.language
    if name == "text_link":
        found["url"] = entity.url
    if name == "custom_emoji":
        found["custom_emoji_id"] = str(entity.document_id)
    return found


def main():
    dice = random.Random(20261126)
    for number in range(400):
        is_html = number < 250
        reader = html if is_html else markdown
        if is_html:
            source = made(dice, HTML_WORDS, HTML_TAGS, ALONE)
        else:
            source = made(dice, WORDS, MARKS, MARKS_ALONE)
        text, entities = reader.parse(source)
        line = {
            "format": "html" if is_html else "markdown",
            "source": source,
            "text": text,
            "entities": [told(entity) for entity in entities],
        }
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
