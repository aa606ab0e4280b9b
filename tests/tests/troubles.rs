//! What an operator can mend, each told by page, terminal, log and control socket in the same plain sentence, in the
//! reader's language, and no more once it is mended.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::unistd::geteuid;
use tgtrunk_config::control::Answer;
use tgtrunk_config::{Language, LineDraft, Said};
use tgtrunk_tests::clock;
use tgtrunk_tests::gateway::{self, Installation};
use tgtrunk_tests::ports;
use tgtrunk_tests::program::Kind;
use tgtrunk_tests::stage::Stage;
use tgtrunk_tests::visitor::Visitor;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How soon a trouble must be told, and be told no more.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_while_the_former_settings_go_on() -> anyhow::Result<()> {
    let stage = Stage::on_loopback().await?;
    let running = Running::start(&stage.installation, &[], &[]).await?;
    let right = fs::read_to_string(&stage.installation.config)?;
    fs::write(&stage.installation.config, format!("api_hsah = 1\n{right}"))?;
    let wanted = format!("{}:1: unknown key api_hsah = 1: want one of ", stage.installation.config.display());
    let said = running.tells(Whose::Both, &wanted, "неизвестный ключ api_hsah = 1: допустимы ").await?;
    fs::write(&stage.installation.config, &right)?;
    running.is_well(&said).await?;
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_not_allowed_is_told_with_what_is() -> anyhow::Result<()> {
    let stage = Stage::on_loopback().await?;
    let running = Running::start(&stage.installation, &[], &[]).await?;
    let right = fs::read_to_string(&stage.installation.config)?;
    fs::write(&stage.installation.config, right.replace("[gateway]", "[gateway]\nopus_complexity = 11"))?;
    let wanted = "gateway.opus_complexity = 11: want a whole number from 0 to 10";
    let said = running.tells(Whose::Both, wanted, "gateway.opus_complexity = 11; нужно: ").await?;
    fs::write(&stage.installation.config, &right)?;
    running.is_well(&said).await?;
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_wrong_key_waits_and_goes_on_by_itself() -> anyhow::Result<()> {
    let stage = Stage::on_loopback().await?;
    serve_page(&stage.installation)?;
    let right = fs::read_to_string(&stage.installation.config)?;
    fs::write(&stage.installation.config, format!("api_hsah = 1\n{right}"))?;
    let running = Running::start(&stage.installation, &[], &[]).await?;
    let said = running.tells(Whose::Both, "unknown key api_hsah = 1", "неизвестный ключ api_hsah").await?;
    fs::write(&stage.installation.config, &right)?;
    running.is_well(&said).await?;
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told_with_what_names_it() -> anyhow::Result<()> {
    let stage = Stage::on_loopback().await?;
    let taken = UdpSocket::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let line = stage.line("+79060000000")?;
    let line = tgtrunk_tests::stage::Line { sip: SocketAddr::from(([127, 0, 0, 1], port)), ..line };
    stage.write_line(&line, "127.0.0.1:5060".parse()?, LineDraft::default())?;
    let running = Running::start(&stage.installation, &[], &[]).await?;
    let wanted = format!("port 127.0.0.1:{port} is in use by another program: stop it, or change sip_port");
    let wanted_ru = format!("порт 127.0.0.1:{port} занят другой программой");
    let said = running.tells(Whose::Gateway, &wanted, &wanted_ru).await?;
    drop(taken);
    running.is_well(&said).await?;
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_forgotten_when_there_is_room() -> anyhow::Result<()> {
    if !is_root("only root may make a small disk") {
        return Ok(());
    }
    let stage = Stage::on_loopback().await?;
    let state = stage.installation.state.clone();
    let _disk = Disk::mount(&state)?;
    let running = Running::start(&stage.installation, &[], &[]).await?;
    fill(&state)?;
    let wanted = format!("{}: the disk is full", state.display());
    let said = running.tells(Whose::Both, &wanted, "диск заполнен").await?;
    // Nothing fits any more, and whoever has to make room gets in all the same.
    let another = running.operator.again().await?;
    running.finds(&another, &said).await?;
    fs::remove_file(state.join("much"))?;
    running.is_well(&said).await?;
    drop(running);
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_permission_is_told_with_the_command_that_gives_it_back() -> anyhow::Result<()> {
    if !is_root("only root may give files away") {
        return Ok(());
    }
    let stage = Stage::on_loopback().await?;
    let state = stage.installation.state.clone();
    // Root that may not do what permissions forbid.
    let plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];
    let running = Running::start(&stage.installation, &plain, &[]).await?;
    chown(&state, Some(65_534), Some(65_534))?;
    let remedy = format!("chown -R tgtrunk: {}", state.display());
    let said = running.tells(Whose::Both, &remedy, &remedy).await?;
    chown(&state, Some(0), Some(0))?;
    running.is_well(&said).await?;
    stage.done();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skewed_clock_is_told_by_how_much() -> anyhow::Result<()> {
    let stage = Stage::on_loopback().await?;
    stage.telegram().write_dc_seed(&stage.installation.state, 1)?;
    let library = clock::faketime()?;
    let skewed =
        [("LD_PRELOAD", library.as_str()), ("FAKETIME", "+120s"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    let running = Running::start(&stage.installation, &[], &skewed).await?;
    let wanted = "s ahead: have it set from the network (timedatectl set-ntp true)";
    running.tells(Whose::Gateway, wanted, "часы этой машины спешат на 1").await?;
    stage.done();
    Ok(())
}

/// Gateway and client, whose logs are Russian, and somebody at the page.
struct Running {
    _gateway: Child,
    _client: Child,
    installation: Installation,
    wrapper: Vec<String>,
    environment: Vec<(String, String)>,
    operator: Visitor,
}

/// Which programs find a trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Gateway,
    Both,
}

impl Running {
    async fn start(
        installation: &Installation,
        wrapper: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        serve_page(installation)?;
        let wrapper: Vec<String> = wrapper.iter().map(|word| (*word).to_owned()).collect();
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(pair).collect();
        let begin = |name: &str, log: &Path| {
            let mut command = command(&wrapper, &environment, name, installation)?;
            let log = fs::File::create(log)?;
            command.arg("run").env("LC_ALL", "ru_RU.UTF-8");
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
            anyhow::Ok(command.spawn()?)
        };
        let gateway = begin("tgtrunk-gateway", &installation.log)?;
        let client_log = Kind::Client.log(installation);
        let client = begin("tgtrunk-client", &client_log)?;
        let until = Instant::now() + SOON;
        while problems(installation).await.is_err() {
            ensure!(Instant::now() < until, "it cannot be asked; its log:\n{}", installation.log_tail());
            sleep(Duration::from_millis(50)).await;
        }
        let operator = Visitor::let_in(|| fs::read_to_string(&client_log).unwrap_or_default()).await?;
        let installation = installation.clone();
        Ok(Self { _gateway: gateway, _client: client, installation, wrapper, environment, operator })
    }

    /// Waits until socket, terminal, log and page say it; gives the sentence.
    async fn tells(&self, whose: Whose, english: &str, russian: &str) -> anyhow::Result<Said> {
        let until = Instant::now() + SOON;
        let said = loop {
            let problems = problems(&self.installation).await.unwrap_or_default();
            if let Some(said) = problems.iter().find(|said| said.en.contains(english)) {
                break said.clone();
            }
            ensure!(Instant::now() < until, "{problems:?}; its log:\n{}", self.installation.log_tail());
            sleep(Duration::from_millis(100)).await;
        };
        ensure!(said.ru.contains(russian), "{said:?} lacks {russian:?}");
        // The page waits until all know it, so that the terminal finds it at once.
        self.finds(&self.operator, &said).await?;
        self.is_at_the_terminal(whose, &said).await?;
        let mut logs = vec![fs::read_to_string(&self.installation.log)?];
        if whose == Whose::Both {
            logs.push(self.client_log());
        }
        for log in logs {
            ensure!(is_said(&log, core(&said.ru)), "the log does not say {said:?}:\n{log}");
        }
        Ok(said)
    }

    /// Waits until the page says it: above everything, and where its health is.
    async fn finds(&self, visitor: &Visitor, said: &Said) -> anyhow::Result<()> {
        let until = Instant::now() + SOON;
        for path in ["/", "/system"] {
            for language in [Language::English, Language::Russian] {
                loop {
                    let words = visitor.reads(path, language).await?;
                    if is_said(&words, behind_first(said.in_language(language))) {
                        break;
                    }
                    ensure!(Instant::now() < until, "{path} does not say {said:?} but {words}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        Ok(())
    }

    async fn is_at_the_terminal(&self, whose: Whose, said: &Said) -> anyhow::Result<()> {
        let gateways =
            [("tgtrunk-gateway", "status"), ("tgtrunk-gateway", "check"), ("tgtrunk-client", "check")];
        let clients = [("tgtrunk-client", "status")];
        let clients = clients.iter().filter(|_| whose == Whose::Both);
        for (program, word) in gateways.iter().chain(clients) {
            for (locale, sentence) in [("C.UTF-8", &said.en), ("ru_RU.UTF-8", &said.ru)] {
                let mut command = command(&self.wrapper, &self.environment, program, &self.installation)?;
                let output = command.arg(word).env("LC_ALL", locale).stdin(Stdio::null()).output().await?;
                let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                ensure!(
                    is_said(&shown, core(sentence)),
                    "{program} {word} says {shown:?} and not {sentence:?}"
                );
                ensure!(!output.status.success(), "{program} {word} ends well");
            }
        }
        Ok(())
    }

    /// Waits until nothing is wrong, and the page says it no more.
    async fn is_well(&self, said: &Said) -> anyhow::Result<()> {
        let until = Instant::now() + SOON;
        loop {
            let told = problems(&self.installation).await;
            let words = self.operator.reads("/system", Language::English).await?;
            if told.as_ref().is_ok_and(Vec::is_empty) && !is_said(&words, behind_first(&said.en)) {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "{told:?}; its log:\n{}\nthe page: {words}",
                self.installation.log_tail()
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn client_log(&self) -> String {
        fs::read_to_string(Kind::Client.log(&self.installation)).unwrap_or_default()
    }
}

/// What the gateway says is wrong.
async fn problems(installation: &Installation) -> anyhow::Result<Vec<Said>> {
    let socket = installation.state.join("gateway.sock");
    match tgtrunk_shell::asking::ask(&socket, tgtrunk_config::control::Ask::Status).await? {
        Answer::Status(report) => Ok(report.problems),
        other => bail!("{other:?} is no status"),
    }
}

fn command(
    wrapper: &[String],
    environment: &[(String, String)],
    name: &str,
    installation: &Installation,
) -> anyhow::Result<Command> {
    let program = gateway::program()?.with_file_name(name);
    let mut words: Vec<PathBuf> = wrapper.iter().map(PathBuf::from).collect();
    words.push(program);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command.arg("--config").arg(&installation.config).arg("--state").arg(&installation.state);
    command.env("NO_COLOR", "1").envs(environment.iter().map(|(name, value)| (name, value)));
    command.kill_on_drop(true);
    Ok(command)
}

/// Has the page served on a port of its own, which stays the same through all changes of the settings.
fn serve_page(installation: &Installation) -> anyhow::Result<()> {
    let text = fs::read_to_string(&installation.config)?;
    let (before, listen) = text.split_once("[page]\nlisten = ").context("a page in the settings")?;
    if listen.starts_with("\"127.0.0.1:0\"") || listen.starts_with("\"off\"") {
        let text = format!("{before}[page]\nlisten = \"127.0.0.1:{}\"\n", ports::free()?);
        fs::write(&installation.config, text)?;
    }
    Ok(())
}

/// Whether words hold a sentence. Seconds that a clock is off differ by one from look to look.
fn is_said(words: &str, sentence: &str) -> bool {
    let blurred = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "#");
    let is_clock = sentence.contains("timedatectl");
    if is_clock { blurred(words).contains(&blurred(sentence)) } else { words.contains(sentence) }
}

/// A sentence without its first letter, which is a capital where it begins a paragraph.
fn behind_first(sentence: &str) -> &str {
    let mut letters = sentence.chars();
    letters.next();
    letters.as_str()
}

/// A trouble without the number of the line that has it: that stands before it where several are told.
fn core(sentence: &str) -> &str {
    let of_line = |line: &str| line.starts_with("линия ") || line.starts_with("line ");
    sentence.split_once(": ").filter(|(line, _)| of_line(line)).map_or(sentence, |(_, core)| core)
}

/// Fills a small disk to its last byte.
fn fill(folder: &Path) -> anyhow::Result<()> {
    let mut much = fs::File::create(folder.join("much"))?;
    loop {
        match much.write_all(&[0; 4096]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A small file system in a folder, gone with this value.
struct Disk {
    at: PathBuf,
}

impl Disk {
    fn mount(at: &Path) -> anyhow::Result<Self> {
        let mount = ["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"];
        let mounted = std::process::Command::new("mount").args(mount).arg(at).status().context("mount")?;
        ensure!(mounted.success(), "no small disk: mount {mounted}");
        Ok(Self { at: at.to_owned() })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg("--lazy").arg(&self.at).status().ok();
    }
}

#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn is_root(why: &str) -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: {why}");
    }
    is_root
}
