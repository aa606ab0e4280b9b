//! Which address is answered by what, and what holds for all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::time::timeout;

use super::office::Office;
use super::visit::{Address, Guest, Visit};
use super::{access, act, answer, api, door, fields, guard, messages, show, stream};

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
        .route("/bots/{bot}/messages/chats/{chat}", get(bots::chat))
        .route("/bots/{bot}/messages/queue/clear", post(bots::clear_queue))
        .route("/bots/{bot}/messages/queue/{message}/cancel", post(bots::cancel))
        .route("/messages/{id}/restart", post(act::restart))
        .route("/messages/{id}/logout", post(act::log_out))
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
async fn guarded(State(office): State<Arc<Office>>, mut request: Request, next: Next) -> Response {
    let address = Address(request.uri().clone());
    request.extensions_mut().insert(address);
    let judged = office.guard.judge(request.method(), request.headers());
    let mut response = match judged {
        Ok(()) => match timeout(LONGEST, next.run(request)).await {
            Ok(response) => response,
            Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
        },
        Err(guard::Refused { status, said }) => {
            let (mut parts, _) = request.into_parts();
            // Whoever calls the page by a wrong name is nobody here.
            parts.headers.remove(axum::http::header::COOKIE);
            Guest::of(&mut parts, &office).await.stop(&office, status, said).into_response()
        }
    };
    guard::seal(&mut response);
    response
}
