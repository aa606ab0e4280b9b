//! Texts with marks: what they become, what is wrong in them, and that others read the same.

use serde_json::Value;

use super::*;

/// What Telethon reads in the same texts (`tests/python/markup.py`).
const TELETHON: &str = include_str!("../../testdata/markup.jsonl");

#[test]
fn telethon_reads_the_same() {
    let mut read = 0;
    for line in TELETHON.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let format = Format::read(case["format"].as_str().unwrap()).unwrap();
        let (text, entities) = parse(case["source"].as_str().unwrap(), format).unwrap();
        assert_eq!(text, case["text"], "{line}");
        let mut ours: Vec<Value> =
            entities.iter().map(|entity| serde_json::to_value(entity).unwrap()).collect();
        let mut theirs = case["entities"].as_array().unwrap().clone();
        ours.sort_by_key(ToString::to_string);
        theirs.sort_by_key(ToString::to_string);
        assert_eq!(ours, theirs, "{line}");
        read += 1;
    }
    assert_eq!(read, 400);
}

#[test]
fn tags_become_entities_in_utf16_units_outer_ones_first() {
    assert_eq!(
        html("😀<b>Ключ <i>да</i></b> &lt;1&gt; <a href=\"https://a.b/?c&amp;d&e\">x</a>"),
        "😀Ключ да <1> x | bold 2 7, italic 7 2, text_link 14 1 https://a.b/?c&d&e"
    );
    assert_eq!(
        html("<i><b>a</b></i> <ins>b</ins><strike>c</strike><span class='tg-spoiler'>d</span>"),
        "a bcd | italic 0 1, bold 0 1, underline 2 1, strikethrough 3 1, spoiler 4 1"
    );
    assert_eq!(
        html("<pre><code class=\"language-rust\">let a;\n</code></pre><pre>b <code>c</code></pre>"),
        "let a;\nb c | pre 0 7 rust, pre 7 3 , code 9 1"
    );
    assert_eq!(
        html("<pre><code>a</code> <code class=\"language-c\">b</code></pre>"),
        "a b | pre 0 3 , code 0 1, code 2 1"
    );
    assert_eq!(
        html("<BLOCKQUOTE expandable> \nмного\n</blockquote><tg-spoiler>с&#8381;&#x20BD;</tg-spoiler>"),
        "много\nс₽₽ | expandable_blockquote 0 5, spoiler 6 3"
    );
    assert_eq!(html("<a href=\"tg://user?id=42\">Анна</a>"), "Анна | text_mention 0 4 42");
    assert_eq!(
        html("<a>a.example</a><a href=b.example>c</a>"),
        "a.examplec | text_link 0 9 a.example, text_link 9 1 b.example"
    );
    assert_eq!(html("<tg-emoji emoji-id=\"5368\">👍</tg-emoji>"), "👍 | custom_emoji 0 2 5368");
    assert_eq!(html("AT&T a & b &c; d".replace("&c;", "&laquo;").as_str()), "AT&T a & b « d");
    assert_eq!(html("  <b> a </b>  <i> </i>"), "a | bold 0 1");
    assert_eq!(html("a\r\n<b>b\r\nc</b>"), "a\nb\nc | bold 2 3");
}

#[test]
fn broken_html_is_told_with_its_place() {
    for (source, at, what) in [
        ("Заказ 😀 <b>готов", 8, "unclosed <b>"),
        ("a<x>b", 1, "unknown tag <x>"),
        ("a<br/>b", 1, "unknown tag <br>"),
        ("<b>a</i>", 4, "</i> where </b> is wanted"),
        ("<b>a<i>c</b></i>", 4, "unclosed <i>"),
        ("a</b>", 1, "</b> ends nothing"),
        ("1 < 2", 2, "a < that begins no tag"),
        ("a <b", 2, "unclosed <"),
        ("a <b <i>", 2, "unclosed <"),
        ("<a href=\"x>b</a>", 0, "unclosed <"),
        ("a &foo; b", 2, "unknown &foo;"),
        ("&#0;", 0, "unknown &#0;"),
        ("<span>a</span>", 0, "<span> with class \"\""),
        ("<tg-emoji emoji-id='x'>a</tg-emoji>", 0, "<tg-emoji> with emoji-id \"x\""),
        ("<!-- a -->", 0, "a < that begins no tag"),
        ("\r\na\r\n<b>", 5, "unclosed <b>"),
    ] {
        assert_broken(source, Format::Html, at, what);
    }
}

#[test]
fn marks_become_entities_in_utf16_units_outer_ones_first() {
    assert_eq!(
        markdown("😀*Ключ* **да** _нет_ __под__ ~a~ ~~b~~ ||тайна|| `1*`"),
        "😀Ключ да нет под a b тайна 1* | bold 2 4, bold 7 2, italic 10 3, underline 14 3, strikethrough 18 1, \
         strikethrough 20 1, spoiler 22 5, code 28 2"
    );
    assert_eq!(
        markdown("*a _b __c___ ~d~* [e *f*\\.](x\\)y_(z))"),
        "a b c d e f. | bold 0 7, italic 2 3, underline 4 1, strikethrough 6 1, text_link 8 4 x)y_(z), bold 10 1"
    );
    assert_eq!(
        markdown("```rust\nlet a;\n  b\n```\n```c```\n```\n1.2 \\` ` ```"),
        "let a;\n  b\nc\n1.2 ` ` | pre 0 10 rust, pre 11 1 , pre 13 7 "
    );
    assert_eq!(
        markdown("a\n> b *c*\n> d\ne\n>f\n>g||\n\\>h"),
        "a\nb c\nd\ne\nf\ng\n>h | blockquote 2 5, bold 4 1, expandable_blockquote 10 3"
    );
    assert_eq!(markdown(">a\n**>b||"), "a\nb | blockquote 0 1, expandable_blockquote 2 1");
    assert_eq!(
        markdown("[Анна](tg://user?id=42) ![👍](tg://emoji?id=5368) ![x](y)"),
        "Анна 👍 !x | text_mention 0 4 42, custom_emoji 5 2 5368, text_link 9 1 y"
    );
    assert_eq!(markdown("___a___ ***b***"), "a b | underline 0 1, italic 0 1, bold 2 1");
    assert_eq!(markdown("``a`b`` `C:\\d\\\\`"), "a`b C:\\d\\ | code 0 3, code 4 5");
}

#[test]
fn what_can_be_no_mark_is_text() {
    for text in [
        "2 * 3 = 6, 5 - 1 > 2!",
        "order_12_a и файл_номер_1",
        "**** 1234, ____, ~~~~",
        "[1] и (2) a|b {c} #d +e.",
        "C:\\new\\т",
        "a ]( b",
        "! [x]",
        "* a\n* b",
    ] {
        assert_eq!(markdown(text), text);
    }
    let escaped: String = (' '..='~').filter(|c| c.is_ascii_punctuation()).flat_map(|c| ['\\', c]).collect();
    assert_eq!(markdown(&escaped), "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");
}

#[test]
fn broken_markdown_is_told_with_its_place() {
    for (source, at, what) in [
        ("я *b", 2, "unclosed *"),
        ("**a*", 0, "unclosed **"),
        ("*a _b* c_", 3, "unclosed _"),
        ("~5 мин", 0, "unclosed ~"),
        ("||a", 0, "unclosed ||"),
        ("a `b", 2, "unclosed `"),
        ("```\nb``", 0, "unclosed ```"),
        ("[a *b](c)*", 3, "unclosed *"),
        ("[a](b", 3, "unclosed ("),
        ("[a](b c)", 3, "a blank in the address"),
        ("[a]()", 3, "no address"),
        ("> *a\nb*", 2, "unclosed *"),
    ] {
        assert_broken(source, Format::Markdown, at, what);
    }
}

#[test]
fn a_text_without_a_format_stays_as_it_is() {
    assert_eq!(parse(" *a* <b>\r\n", Format::None), Ok((" *a* <b>\r\n".to_owned(), Vec::new())));
    assert_eq!(Format::read("HTML"), Some(Format::Html));
    assert_eq!(Format::read("MarkdownV2"), Some(Format::Markdown));
    assert_eq!(Format::read("none"), Some(Format::None));
    assert_eq!(Format::read("bbcode"), None);
}

/// Every text is read or refused, and what is read lies within its text, in order and without blanks around it.
#[test]
fn no_text_is_too_broken_to_be_read() {
    let pieces = [
        "*",
        "_",
        "~",
        "|",
        "||",
        "`",
        "```",
        "[",
        "](",
        ")",
        "(",
        "\\",
        ">",
        "\n",
        "\r",
        " ",
        "я",
        "😀",
        "!",
        "tg://emoji?id=5",
        "**",
        "__",
        "**>",
        "<",
        ">",
        "</",
        "<b>",
        "</b>",
        "<a href=\"",
        "\">",
        "</a>",
        "<pre>",
        "</pre>",
        "<code class=\"language-c\">",
        "</code>",
        "&",
        "&lt;",
        "&#",
        ";",
        "1f600",
        "=",
        "'",
        "/",
    ];
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut read = 0;
    for _ in 0..60_000 {
        let mut source = String::new();
        for _ in 0..next(&mut seed) % 12 {
            source.push_str(pieces[usize::try_from(next(&mut seed)).unwrap() % pieces.len()]);
        }
        for format in [Format::Markdown, Format::Html] {
            match parse(&source, format) {
                Ok((text, entities)) => {
                    read += 1;
                    assert_eq!(text, text.trim(), "{source:?}");
                    let units: Vec<u16> = text.encode_utf16().collect();
                    let mut last = (0, u32::MAX);
                    for entity in &entities {
                        let range = entity.offset as usize..(entity.offset + entity.length) as usize;
                        let inside = String::from_utf16(&units[range]);
                        let inside =
                            inside.unwrap_or_else(|_| panic!("{source:?}: a letter is cut by {entity:?}"));
                        assert!(!inside.is_empty(), "{source:?}");
                        assert!(
                            entity.offset > last.0 || (entity.offset == last.0 && entity.length <= last.1),
                            "{source:?}: {entities:?}"
                        );
                        last = (entity.offset, entity.length);
                    }
                }
                Err(error) => {
                    assert!(error.at <= source.chars().count(), "{source:?}: {error}");
                    assert!(error.sentence.contains(&format!("at character {} ", error.at)), "{error}");
                }
            }
        }
    }
    assert!(read > 10_000, "{read}");
}

/// What takes the square of its length would not end here for minutes.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
fn long_texts_are_read_in_a_moment() {
    let started = std::time::Instant::now();
    let mut sources: Vec<String> =
        ["[", "[a](", "*a ", "_", "`", "<b>", "&", "> ", "||", "[a](b) ", "**a** "]
            .iter()
            .chain(&["<pre>a</pre>", "<pre><code>a</code> b</pre>", "<b>a</b> "])
            .map(|piece| piece.repeat(50_000))
            .collect();
    sources.push("[".repeat(51_000) + &"](x)".repeat(51_000));
    sources.push("<b>".repeat(51_000) + &" ".repeat(51_000) + &"</b>".repeat(51_000));
    for source in sources {
        let _either = (parse(&source, Format::Markdown).is_ok(), parse(&source, Format::Html).is_ok());
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn marks_lie_inside_each_other_up_to_a_limit() {
    let markdown = |depth| "[".repeat(depth) + "a" + &"](x)".repeat(depth);
    let html = |depth| "<b>".repeat(depth) + "a" + &"</b>".repeat(depth);
    assert!(parse(&markdown(64), Format::Markdown).is_ok());
    assert!(parse(&html(64), Format::Html).is_ok());
    assert_broken(&markdown(65), Format::Markdown, 64, "one mark too many inside others");
    assert_broken(&html(65), Format::Html, 192, "one mark too many inside others");
}

#[test]
fn a_piece_of_a_text_keeps_what_is_said_of_it() {
    let (text, entities) = parse("<b>один 😀 два</b> <a href=\"x\">три</a>", Format::Html).unwrap();
    let at = text.find("два").unwrap();
    assert_eq!(shown(&piece(&text, &entities, 0..at)), "один 😀 | bold 0 7");
    assert_eq!(shown(&piece(&text, &entities, at..text.len())), "два три | bold 0 3, text_link 4 3 x");
}

/// xorshift (Marsaglia 2003): the same texts in every run.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed >> 16
}

fn html(source: &str) -> String {
    shown(&parse(source, Format::Html).unwrap())
}

fn markdown(source: &str) -> String {
    shown(&parse(source, Format::Markdown).unwrap())
}

fn shown((text, entities): &(String, Vec<Entity>)) -> String {
    let entities: Vec<String> = entities.iter().map(one).collect();
    if entities.is_empty() { text.clone() } else { format!("{text} | {}", entities.join(", ")) }
}

fn one(entity: &Entity) -> String {
    let value = serde_json::to_value(entity).unwrap();
    let place = format!("{} {} {}", value["type"].as_str().unwrap(), entity.offset, entity.length);
    match &entity.kind {
        EntityKind::Pre { language } => format!("{place} {language}"),
        EntityKind::TextLink { url } => format!("{place} {url}"),
        EntityKind::TextMention { user } => format!("{place} {user}"),
        EntityKind::CustomEmoji { custom_emoji_id } => format!("{place} {custom_emoji_id}"),
        _ => place,
    }
}

fn assert_broken(source: &str, format: Format, at: usize, what: &str) {
    let error = parse(source, format).unwrap_err();
    let begin = format!("{what} at character {at} (");
    assert!(error.at == at && error.sentence.starts_with(&begin), "{source:?}: {error}");
}
