//! What was taken over, as our files.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use tgtrunk_config::control::Ask;
use tgtrunk_config::{BotName, BotToken, Bots, LineDraft, LineError, Lines, Said, Settings, StateDir, Texts};
use tgtrunk_shell::asking;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::former::{Application, FormerLine};
use super::tell;

/// Writes `api_id`, `api_hash` and the proxy into the settings, unless they have them.
///
/// # Errors
/// When the file cannot be written, or is wrong for other reasons.
pub(super) fn application(
    config: &Path,
    application: &Application,
    proxy: Option<&str>,
) -> anyhow::Result<()> {
    if Settings::load(config).is_ok() {
        tell(&Said::new(
            format!("{} has its api_id already: left as it is", config.display()),
            format!("в {} уже есть api_id: оставлено как есть", config.display()),
        ));
        return Ok(());
    }
    let text = match std::fs::read_to_string(config) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context(config.display().to_string()),
    };
    let mut text = with_key(&text, "api_id", &application.api_id.to_string());
    text = with_key(&text, "api_hash", &format!("{:?}", application.api_hash));
    if let Some(proxy) = proxy {
        text = with_key(&text, "proxy", &format!("{proxy:?}"));
    }
    Settings::parse(&text, config)?;
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(StateDir::at(folder).replace(config, text.as_bytes())?)
}

/// The text with a key of `[telegram]` set: in its place, where it is commented out too, or at the section's start.
fn with_key(text: &str, key: &str, value: &str) -> String {
    let set = format!("{key} = {value}");
    let names = |line: &str| {
        let line = line.trim_start_matches(['#', ' ']);
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().position(|line| line.trim() == "[telegram]");
    let Some(start) = start else { return format!("[telegram]\n{set}\n{text}") };
    let after = lines[start + 1..].iter().position(|line| line.trim_start().starts_with('['));
    let end = after.map_or(lines.len(), |after| start + 1 + after);
    match lines[start..end].iter().position(|line| names(line)) {
        Some(at) => lines[start + at] = &set,
        None => lines.insert(start + 1, &set),
    }
    lines.join("\n") + "\n"
}

/// Writes a line, its texts and its bot; whether the number has a line now. One that has it already keeps it as it is.
///
/// # Errors
/// When a file cannot be written.
pub(super) async fn line(config: &Path, state: &StateDir, former: FormerLine) -> anyhow::Result<bool> {
    let phone = former.phone.clone();
    let bot = match &former.token {
        None => None,
        Some(token) => match bot(config, state, token).await {
            Ok(bot) => Some(bot),
            Err(error) => {
                tell(&Said::new(
                    format!(
                        "{phone}: its bot is not added: {error:#}; add it on the page, or by tgtrunk-bot add"
                    ),
                    format!(
                        "{phone}: бот не добавлен: {error:#}; добавьте его на странице или командой tgtrunk-bot add"
                    ),
                ));
                None
            }
        },
    };
    let said = match Lines::add(state, draft(&former, bot.as_ref(), true)) {
        // What rings first may be written in a way that we do not know: better a line without it.
        Err(LineError::Wrong(_)) if !former.call_back.is_empty() => {
            let added = Lines::add(state, draft(&former, bot.as_ref(), false));
            if added.is_ok() {
                let rings = &former.call_back;
                tell(&Said::new(
                    format!(
                        "{phone}: who rings first for a call-back is not taken over: {rings:?} is no extension"
                    ),
                    format!(
                        "{phone}: кто звонит первым при обратном звонке, не перенесено: {rings:?} не внутренний номер"
                    ),
                ));
            }
            added
        }
        added => added,
    };
    match said {
        Ok(line) => tell(&Said::new(
            format!("line {phone} is written, on port {}", line.sip_port),
            format!("линия {phone} записана, порт {}", line.sip_port),
        )),
        Err(LineError::Exists(phone)) => {
            tell(&Said::new(
                format!("line {phone} is there already and stays as it is"),
                format!("линия {phone} уже есть и остаётся как была"),
            ));
            return Ok(true);
        }
        Err(error) => {
            tell(&Said::from(&error));
            return Ok(false);
        }
    }
    texts(state, &former)?;
    Ok(true)
}

fn draft(former: &FormerLine, bot: Option<&BotName>, with_call_back: bool) -> LineDraft {
    let mut draft = LineDraft::new(&former.phone)
        .set("pbx", former.pbx.as_str())
        .set("enabled", former.enabled)
        .set("language", former.language().as_str())
        .set("auto_answer", former.texts.iter().any(|(key, _)| *key == "auto_answer"));
    if let Some(port) = former.sip_port {
        draft = draft.set("sip_port", port);
    }
    if let Some(bot) = bot {
        draft = draft.set("bot", bot.as_str());
    }
    if with_call_back && !former.call_back.is_empty() {
        draft = draft.set("call_back", former.call_back.as_str());
    }
    draft
}

fn texts(state: &StateDir, former: &FormerLine) -> anyhow::Result<()> {
    if former.texts.is_empty() {
        return Ok(());
    }
    let file = state.texts_file(&former.phone);
    let mut written = format!("[{}]\n", former.language());
    for (key, text) in &former.texts {
        // A brace that was meant as one.
        let text = toml_text(&text.replace('{', "{{"));
        writeln!(written, "{key} = {text}")?;
    }
    if let Err(problems) = Texts::parse(&written, &file) {
        for problem in problems {
            tell(&Said::from(&problem));
        }
        return Ok(());
    }
    Ok(state.replace(&file, written.as_bytes())?)
}

/// A basic string (TOML 1.0).
fn toml_text(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => {}
            c if c.is_control() => written.push(' '),
            c => written.push(c),
        }
    }
    written + "\""
}

/// Adds a bot by its token, which only Telegram knows the name to; `tgtrunk-bot` asks it.
async fn bot(config: &Path, state: &StateDir, token: &BotToken) -> anyhow::Result<BotName> {
    if let Some(bot) = bot_of(state, token)? {
        return Ok(bot);
    }
    // The program lies beside this one, unless this one was started in a way that hides where it lies.
    let folder = std::env::var_os("TGTRUNK_BIN").map(PathBuf::from);
    let folder = folder.map_or_else(|| std::env::current_exe().map(|this| this.with_file_name("")), Ok)?;
    let program = folder.join("tgtrunk-bot");
    let mut command = Command::new(&program);
    command.arg("--config").arg(config).arg("--state").arg(state.root()).arg("add").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| program.display().to_string())?;
    let mut keyboard = child.stdin.take().context("its input is a pipe")?;
    keyboard.write_all(format!("{}\n", token.as_str()).as_bytes()).await?;
    drop(keyboard);
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let added = bot_of(state, token)?;
    ensure!(added.is_some(), "it was not written");
    added.context("it was not written")
}

fn bot_of(state: &StateDir, token: &BotToken) -> anyhow::Result<Option<BotName>> {
    let known = Bots::load(state)?.bots.into_iter();
    Ok(known.filter(|(_, file)| file.token.as_str() == token.as_str()).map(|(bot, _)| bot).next())
}

/// Has the programs that run read the files.
pub(super) async fn take_up(state: &StateDir) {
    for socket in [state.gateway_socket(), state.client_socket(), state.bot_socket()] {
        asking::ask(&socket, Ask::Reload).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_to_their_place_and_comments_stay() {
        let text =
            "# mine\n[telegram]\n# about it\n#api_id = 12345\nlang_code = \"en\"\n\n[gateway]\napi_id = 1\n";
        let set = with_key(&with_key(text, "api_id", "7"), "proxy", "\"x\"");
        assert_eq!(
            set,
            "# mine\n[telegram]\nproxy = \"x\"\n# about it\napi_id = 7\nlang_code = \"en\"\n\n[gateway]\napi_id = 1\n"
        );
        assert_eq!(with_key("", "api_id", "7"), "[telegram]\napi_id = 7\n");
    }

    #[tokio::test]
    async fn a_former_line_becomes_a_line_with_its_texts_and_a_known_one_stays() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        let config = room.path().join("tgtrunk.toml");
        let api_hash = "0123456789abcdef0123456789abcdef".to_owned();
        application(&config, &Application { api_id: 7, api_hash }, Some("socks5://192.0.2.9:1080")).unwrap();
        let settings = Settings::load(&config).unwrap();
        assert_eq!((settings.telegram.api_id, settings.telegram.proxy.is_some()), (7, true));

        let former = || FormerLine {
            call_back: "no extension!".to_owned(),
            sip_port: Some(30007),
            texts: vec![("keypad", "Номер {\"абонента\"}:\n".to_owned())],
            ..FormerLine::new("+79060000000".parse().unwrap(), "127.0.0.1:5070".to_owned())
        };
        line(&config, &state, former()).await.unwrap();
        line(&config, &state, FormerLine { sip_port: None, ..former() }).await.unwrap();
        let lines = Lines::load(&state).unwrap();
        assert!(lines.problems.is_empty(), "{:?}", lines.problems);
        assert_eq!((lines.lines[0].sip_port, lines.lines[0].pbx.first.port), (30007, Some(5070)));
        let texts = std::fs::read_to_string(state.texts_file(&lines.lines[0].phone)).unwrap();
        assert_eq!(texts, "[ru]\nkeypad = \"Номер {{\\\"абонента\\\"}:\\n\"\n");
    }
}
