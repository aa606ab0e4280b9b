//! Rust text taken apart as far as the rules need it: comments, strings, and where the tests begin.

/// The lines of a file before its test module, and the names of modules that are only built for tests.
pub(crate) struct Code<'t> {
    /// The product's part, as written.
    pub(crate) text: &'t str,
    /// Modules in other files that stand under `#[cfg(test)]`.
    pub(crate) test_modules: Vec<&'t str>,
}

/// Splits a file where its own test module begins.
pub(crate) fn product_part(text: &str) -> Code<'_> {
    let mut test_modules = Vec::new();
    let mut end = text.len();
    for (at, _) in text.match_indices("#[cfg(test)]") {
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        if !text[line_start..at].trim().is_empty() {
            continue;
        }
        let item =
            text[at..].lines().skip(1).map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        let item = item.unwrap_or_default();
        let Some((_, name)) = item.split_once("mod ") else { continue };
        if let Some(name) = name.strip_suffix(';') {
            test_modules.push(name.trim());
        } else if name.ends_with('{') {
            end = line_start;
            break;
        }
    }
    Code { text: &text[..end], test_modules }
}

/// The text with comments gone. Lines keep their numbers.
pub(crate) fn without_comments(text: &str) -> String {
    stripped(text, true)
}

/// The text with comments gone and strings empty. Lines keep their numbers.
pub(crate) fn without_comments_and_strings(text: &str) -> String {
    stripped(text, false)
}

/// Whether `word` stands in `line` as a word: an end of it that is a letter, a digit or `_` has no other beside it.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let inside = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let open_start = !inside(word.as_bytes().first());
    let open_end = !inside(word.as_bytes().last());
    line.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|before| line.as_bytes().get(before));
        (open_start || !inside(before)) && (open_end || !inside(line.as_bytes().get(at + word.len())))
    })
}

fn stripped(text: &str, keep_strings: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let whole = token_len(rest, out.chars().next_back());
        let (token, after) = rest.split_at(whole.max(first.len_utf8()));
        let comment = token.starts_with("//") || token.starts_with("/*");
        let string = token.len() > 1 && token.ends_with(['"', '\'', '#']) && !comment;
        if comment || (string && !keep_strings) {
            out.extend(token.chars().filter(|c| *c == '\n'));
        } else {
            out.push_str(token);
        }
        if string && !keep_strings {
            out.push_str("\"\"");
        }
        rest = after;
    }
    out
}

/// Length of the comment, string or character at the start of `rest`, or 0.
fn token_len(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_len(rest);
    }
    if rest.starts_with('"') {
        return quoted_len(rest, 1);
    }
    let begins_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let raw = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    if let Some(hashes) = raw.strip_prefix('r').filter(|_| begins_word) {
        let count = hashes.len() - hashes.trim_start_matches('#').len();
        if hashes[count..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(count));
            let open = rest.len() - hashes.len() + count + 1;
            return rest[open..].find(&end).map_or(rest.len(), |at| open + at + end.len());
        }
    }
    if rest.starts_with('\'') { char_len(rest) } else { 0 }
}

fn block_comment_len(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted_len(rest: &str, open: usize) -> usize {
    let mut escaped = false;
    for (at, c) in rest[open..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return open + at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal's length; 0 for a lifetime.
fn char_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(0, |at| at + 4),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

#[test]
fn comments_and_strings_are_told_from_code() {
    let text =
        "a // b\n\"c // d\" e /* f /* g */ h */ i r#\"j \"k\" \"# 'l' '\\'' &'m n b\"o\" \"p\\\"q\" r\n";
    assert_eq!(without_comments_and_strings(text), "a \n\"\" e  i \"\" \"\" \"\" &'m n b\"\" \"\" r\n");
    assert_eq!(
        without_comments(text),
        "a \n\"c // d\" e  i r#\"j \"k\" \"# 'l' '\\'' &'m n b\"o\" \"p\\\"q\" r\n"
    );
}

#[test]
fn the_test_module_is_cut_off_and_test_files_are_named() {
    let text = "mod a;\n#[cfg(test)]\nmod simulated;\n#[cfg(test)]\nuse b;\nfn c() {}\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\nfn d() {}\n}\n";
    let code = product_part(text);
    assert!(code.text.ends_with("fn c() {}\n"), "{}", code.text);
    assert_eq!(code.test_modules, ["simulated"]);
}

#[test]
fn words_are_found_whole() {
    assert!(has_word("use is::Agent;", "is::") && has_word("(is::Agent)", "is::"));
    assert!(!has_word("this::Agent", "is::"));
    assert!(has_word("x.unwrap()", ".unwrap()") && !has_word("x.unwrap_or(y)", ".unwrap()"));
    assert!(has_word("an unsafe block", "unsafe") && !has_word("unsafe_code", "unsafe"));
}
