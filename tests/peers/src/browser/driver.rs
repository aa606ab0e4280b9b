//! `chromedriver` as a process of its own, and the HTTP of its commands (W3C WebDriver, section 6).

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::unistd::Uid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long it may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Most that an answer may have, in bytes: a picture of a long page.
const ANSWER_MAX: usize = 64 << 20;

/// It, running. The browsers that it opened end with it.
pub(super) struct Driver {
    address: SocketAddr,
    child: Child,
}

/// A browser of root puts itself before everybody else on the machine, whose tests are late then: it may not.
fn command() -> Command {
    if !Uid::effective().is_root() {
        return Command::new("chromedriver");
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_nice", "--inh-caps=-sys_nice", "chromedriver"]);
    command
}

impl Driver {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When the Debian package `chromium-driver` is missing.
    pub(super) async fn start() -> anyhow::Result<Self> {
        // Now and then another socket has taken the port that it found free.
        for _ in 0..2 {
            if let Ok(driver) = Self::try_start().await {
                return Ok(driver);
            }
        }
        Self::try_start().await
    }

    async fn try_start() -> anyhow::Result<Self> {
        let mut child = command()
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("chromedriver, from the Debian package chromium-driver")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        let port = timeout(START_LIMIT, async {
            while let Some(line) = lines.next_line().await? {
                let number = line.split("successfully on port ").nth(1).map(|end| end.trim_end_matches('.'));
                if let Some(number) = number {
                    return Ok(number.parse::<u16>()?);
                }
            }
            bail!("chromedriver ended")
        });
        let port = port.await.context("chromedriver does not start")??;
        // What it says later is read, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], port)), child })
    }

    /// Gives a command and waits for its `value`.
    ///
    /// # Errors
    /// With the driver's own words, or when it does not answer in time.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> anyhow::Result<Value> {
        let exchange = self.exchange(method, path, body);
        let answer =
            timeout(limit, exchange).await.with_context(|| format!("{method} {path}: no answer"))??;
        let mut answer: Value = serde_json::from_slice(&answer).context("an answer in JSON")?;
        let value = answer["value"].take();
        if let Some(error) = value["error"].as_str() {
            let message = value["message"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
            bail!("{error}: {message}");
        }
        Ok(value)
    }

    async fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Vec<u8>> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(self.address).await.context("chromedriver is gone")?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut stream = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        if length > ANSWER_MAX {
            bail!("an answer of {length} bytes");
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

impl Drop for Driver {
    /// Its browsers are of its process group and go with it.
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, killpg};
        use nix::unistd::Pid;
        if let Some(process) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            killpg(Pid::from_raw(process), Signal::SIGKILL).ok();
        }
    }
}
