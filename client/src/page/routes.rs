//! Which address is answered by what, and what holds for all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tgtrunk_config::Said;
use tokio::time::timeout;

use super::office::Office;
use super::visit::{Address, Guest, Visit};
use super::{access, act, answer, api, call_webhook, door, fields, guard, messages, show, stream};

/// How long a question may take to arrive and to be answered. Events are told for as long as the page is open.
const LONGEST: Duration = Duration::from_secs(60);

/// Everything that is served.
pub(super) fn router(office: Arc<Office>) -> Router {
    Router::new()
        .route("/login", get(show::login).post(door::log_in))
        .route("/logout", post(door::log_out))
        .route("/language", post(door::language))
        .route("/theme", post(door::theme))
        .route("/", get(show::lines))
        .route("/lines/new", get(show::new_line).post(act::add_line))
        .route("/lines/{phone}", get(show::line))
        .route("/lines/{phone}/switch", post(act::switch))
        .route("/lines/{phone}/restart", post(act::restart))
        .route("/lines/{phone}/reset", post(act::reset))
        .route("/lines/{phone}/delete", post(act::delete))
        .route("/lines/{phone}/checks", post(act::look))
        .route("/lines/{phone}/checks/{check}/fix", post(act::fix))
        .route("/lines/{phone}/webhook/push", post(call_webhook::push))
        .route("/lines/{phone}/webhook/{event}/skip", post(call_webhook::skip))
        .route("/lines/{phone}/settings", get(show::line_settings).post(act::line_settings))
        .route("/lines/{phone}/texts", get(show::texts))
        .route("/lines/{phone}/texts/{language}", post(act::texts))
        .route("/lines/{phone}/pbx", get(show::pbx))
        .route("/lines/{phone}/login", get(show::sessions))
        .route("/lines/{phone}/login/bot", post(act::line_bot).get(show::line_bot))
        .route("/lines/{phone}/login/{part}", get(show::steps))
        .route("/lines/{phone}/login/{part}/{step}", post(act::login_step))
        .route("/calls", get(show::calls))
        .route("/calls.csv", get(show::table))
        .route("/calls/watch", post(act::watch))
        .route("/calls/{call}/hangup", post(act::hang_up))
        .route("/bots", get(show::bots).post(act::bots))
        .route("/bots/{bot}/remove", post(act::remove_bot))
        .merge(access::router())
        .route("/system", get(show::system))
        .route("/system/settings", post(act::settings))
        .route("/system/password", post(door::password))
        .route("/system/log", get(show::log))
        .merge(of_messages())
        .route("/events", get(events))
        .route("/assets/{name}", get(show::asset))
        .route("/health", get(api::health_word))
        .nest("/api/v1", api::router())
        .fallback(show::missing)
        .method_not_allowed_fallback(show::wrong_method)
        .layer(DefaultBodyLimit::max(fields::LONGEST_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&office), guarded))
        .with_state(office)
}

/// The place "Messages".
fn of_messages() -> Router<Arc<Office>> {
    use messages::{act, bots, show};
    Router::new()
        .route("/messages", get(show::all))
        .route("/messages/{id}", get(show::instance))
        .route("/bots/{bot}/messages", get(bots::instance))
        .route("/bots/{bot}/messages/journal", get(bots::journal))
        .route("/bots/{bot}/messages/journal.csv", get(bots::files::csv))
        .route("/bots/{bot}/messages/files/{key}", get(bots::files::file))
        .route("/bots/{bot}/messages/chats/{chat}", get(bots::chat))
        .route("/bots/{bot}/messages/queue/clear", post(bots::clear_queue))
        .route("/bots/{bot}/messages/queue/{message}/cancel", post(bots::cancel))
        .route("/bots/{bot}/messages/updates/push", post(bots::push))
        .route("/bots/{bot}/messages/updates/{number}/skip", post(bots::skip))
        .route("/bots/{bot}/messages/access", get(bots::access::page).post(bots::access::make))
        .route("/bots/{bot}/messages/access/{number}/revoke", post(bots::access::revoke))
        .route("/messages/{id}/restart", post(act::restart))
        .route("/messages/{id}/logout", post(act::log_out))
        .route("/messages/{id}/delete", post(act::delete))
        .route("/messages/{id}/journal", get(show::journal))
        .route("/messages/{id}/journal.csv", get(show::csv))
        .route("/messages/{id}/chats/{chat}", get(show::chat))
        .route("/messages/{id}/files/{key}", get(show::file))
        .route("/messages/{id}/queue/clear", post(act::clear_queue))
        .route("/messages/{id}/queue/{message}/cancel", post(act::cancel))
        .route("/messages/{id}/notifications/{what}", post(act::notifications))
        .route("/messages/{id}/notifications/{what}/skip", post(act::skip))
        .route("/messages/{id}/login", get(show::signin))
        .route("/messages/{id}/login/{step}", post(act::signin))
        .route("/messages/{id}/settings", get(show::settings).post(act::settings))
        .route("/messages/{id}/access", get(show::access).post(act::access))
}

async fn events(State(office): State<Arc<Office>>, visit: Visit) -> Result<Response, answer::Stop> {
    stream::events(office, visit)
}

/// Refuses what another site sent, and tells the browser what to refuse itself.
async fn guarded(State(office): State<Arc<Office>>, request: Request, next: Next) -> Response {
    within(LONGEST, &office, request, next).await
}

async fn within(longest: Duration, office: &Office, mut request: Request, next: Next) -> Response {
    let address = Address(request.uri().clone());
    request.extensions_mut().insert(address);
    let judged = office.guard.judge(request.method(), request.headers());
    let (mut parts, body) = request.into_parts();
    let mut response = match judged {
        Ok(()) => {
            let request = Request::from_parts(parts.clone(), body);
            match timeout(longest, next.run(request)).await {
                Ok(response) => response,
                Err(_) => Guest::of(&mut parts, office).await.stop(office, 503, too_long()).into_response(),
            }
        }
        Err(guard::Refused { status, said }) => {
            // Whoever calls the page by a wrong name is nobody here.
            parts.headers.remove(axum::http::header::COOKIE);
            Guest::of(&mut parts, office).await.stop(office, status, said).into_response()
        }
    };
    guard::seal(&mut response);
    response
}

fn too_long() -> Said {
    Said::new(
        "That took too long, and nobody waits for it any more. What was begun may go on: look again in a minute.",
        "Это заняло слишком много времени, и его больше не ждут. Начатое может продолжаться: посмотрите ещё раз через минуту.",
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tgtrunk_config::{PageSettings, StateDir};
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    use super::*;
    use crate::page::entry::Entry;
    use crate::page::hub::Hub;

    #[tokio::test]
    async fn whoever_waits_too_long_is_told_so_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let (entry, _) = Entry::in_memory().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let (settings, trouble) = (PageSettings::default(), watch::channel(Vec::new()).1);
        let hub = Hub::start(state.clone());
        let office = Office::new(PathBuf::new(), settings, listen, state, hub, entry, trouble);
        let office = Arc::new(office);
        let soon = async |State(office): State<Arc<Office>>, request: Request, next: Next| {
            within(Duration::from_millis(50), &office, request, next).await
        };
        let router: Router = Router::new()
            .route("/", get(std::future::pending::<()>))
            .layer(middleware::from_fn_with_state(office, soon));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let told = reqwest::get(format!("http://{listen}/")).await.unwrap();
        assert_eq!(told.status(), 503);
        let told = told.text().await.unwrap();
        assert!(told.contains("That took too long"), "{told}");
    }
}
