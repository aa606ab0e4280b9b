//! The gateway's control socket: JSON lines of the `config` contract over a Unix socket.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use tgtrunk_config::control::{
    Answer, Ask, Event, Hello, LineReader, Outcome, Refusal, RefusalCode, Reply, Request, to_line,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

/// How programs greet each other.
const PROGRAM: &str = "tgtrunk-gateway";
/// Askers at once; the client, the bot, and an operator's terminal or two.
const CONNECTIONS: usize = 64;

/// A question on its way to whoever knows the lines.
pub(crate) struct Question {
    pub(crate) ask: Ask,
    pub(crate) answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// Opens the socket, readable by this user alone.
///
/// # Errors
/// When the path cannot be bound.
pub(crate) fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error)
                .with_context(|| format!("cannot replace the control socket {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot open the control socket {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot close {} to other users", path.display()))?;
    Ok(listener)
}

/// Serves askers until the task is dropped.
pub(crate) async fn serve(
    listener: UnixListener,
    questions: mpsc::Sender<Question>,
    events: broadcast::Sender<Event>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS => {
                    let (questions, events) = (questions.clone(), events.subscribe());
                    connections.spawn(async move {
                        if let Err(error) = talk(stream, questions, events).await {
                            tracing::debug!(%error, "control connection ended");
                        }
                    });
                }
                Ok(_) => tracing::warn!(CONNECTIONS, "control connection refused: too many are open"),
                Err(error) => {
                    tracing::warn!(%error, "control connection not accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn talk(
    mut stream: UnixStream,
    questions: mpsc::Sender<Question>,
    mut events: broadcast::Receiver<Event>,
) -> anyhow::Result<()> {
    stream.write_all(to_line(&Hello::new(PROGRAM, std::process::id())).as_bytes()).await?;
    let (mut input, mut output) = stream.split();
    let mut lines = LineReader::default();
    let mut buffer = vec![0; 16 * 1024];
    let mut subscribed = false;
    loop {
        tokio::select! {
            read = input.read(&mut buffer) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                lines.push(&buffer[..read]);
                while let Some(line) = lines.next_line() {
                    let line = match line {
                        Ok(line) => line,
                        Err(error) => {
                            let refusal = Reply::error(None, RefusalCode::BadRequest, error.to_string());
                            output.write_all(to_line(&refusal).as_bytes()).await?;
                            return Ok(());
                        }
                    };
                    let (reply, subscribes) = reply(&line, &questions).await;
                    if subscribes && !subscribed {
                        subscribed = true;
                        events = events.resubscribe();
                    }
                    output.write_all(to_line(&reply).as_bytes()).await?;
                }
            }
            event = events.recv() => {
                let event = match event {
                    Ok(event) => event,
                    Err(broadcast::error::RecvError::Lagged(missed)) => Event::Lagged { missed },
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                };
                if subscribed {
                    output.write_all(to_line(&event).as_bytes()).await?;
                }
            }
        }
    }
}

/// The reply to one line, and whether the asker wants events from now on.
async fn reply(line: &str, questions: &mpsc::Sender<Question>) -> (Reply, bool) {
    let request = match Request::from_line(line) {
        Ok(request) => request,
        Err(bad) => return (Reply::error(bad.id, RefusalCode::BadRequest, bad.message), false),
    };
    if request.ask == Ask::Subscribe {
        return (Reply::ok(request.id, Answer::Done), true);
    }
    let (answer, answered) = oneshot::channel();
    let stopping = || Refusal { code: RefusalCode::Stopping, message: "the gateway is stopping".to_owned() };
    let result = match questions.send(Question { ask: request.ask, answer }).await {
        Ok(()) => answered.await.unwrap_or_else(|_| Err(stopping())),
        Err(_) => Err(stopping()),
    };
    let outcome = match result {
        Ok(answer) => Outcome::Ok(answer),
        Err(refusal) => Outcome::Error(refusal),
    };
    (Reply { id: Some(request.id), outcome }, false)
}
