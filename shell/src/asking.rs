//! The asking end of a program's control socket: one question, or a connection that is kept.

mod follower;
mod link;
mod news;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tgtrunk_config::Phone;
use tgtrunk_config::control::{Answer, Ask, Heard, LineReader, Refusal, RefusalCode, Request, to_line};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

pub use follower::{AskError, Follower, Told};

/// How long reading its files again may take a program.
const RELOADED: Duration = Duration::from_secs(10);

/// Whether the program behind `path` has a line for the number; whatever else it says is for its login to tell.
pub async fn has_line(path: &Path, phone: &Phone) -> bool {
    let told = ask(path, Ask::Login { line: phone.clone() }).await;
    let refusal = told.as_ref().err().and_then(|error| error.downcast_ref::<Refusal>());
    refusal.is_none_or(|refusal| refusal.code != RefusalCode::UnknownLine)
}

/// Has a program that began while its files were changed read them again: it may have done so before. One that does not listen
/// yet reads them when it begins.
pub async fn reload_where_it_runs(path: &Path) {
    timeout(RELOADED, ask(path, Ask::Reload)).await.ok();
}

/// Asks one question and waits for its answer, however long that takes.
///
/// # Errors
/// When nobody listens there, another contract is spoken there, or the question is refused: then the error is the
/// [`Refusal`].
pub async fn ask(path: &Path, ask: Ask) -> anyhow::Result<Answer> {
    let mut stream =
        UnixStream::connect(path).await.with_context(|| format!("nobody listens at {}", path.display()))?;
    stream.write_all(to_line(&Request { id: 1, ask }).as_bytes()).await?;
    let mut lines = LineReader::default();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            bail!("{}: the connection was closed without an answer", path.display());
        }
        lines.push(&buffer[..read]);
        while let Some(line) = lines.next_line() {
            if let Heard::Reply(reply) = Heard::from_line(&line?)? {
                return Ok(reply.into_result()?);
            }
        }
    }
}
