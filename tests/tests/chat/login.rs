//! The client's session: logged in by a token that the gateway's session accepts, or by a second code.

use std::time::Duration;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_test_telegram::world::{Action, Match};
use tgtrunk_tests::chat_stage::LIMIT;
use tgtrunk_tests::gateway;
use tgtrunk_tests::program::Kind;
use tgtrunk_tests::sipp_exchange::Exchange;
use tgtrunk_tests::stage::{self, Line, Stage};

/// A line whose account has a password; the gateway runs.
async fn room() -> (Stage, Line, Exchange) {
    let stage = Stage::on_loopback().await.unwrap();
    let exchange = Exchange::start(None, Duration::ZERO, false).unwrap();
    let line = stage.line("+79060000001").unwrap();
    stage.world().set_password(line.account, Some(PASSWORD));
    stage.write_line(&line, exchange.sip, stage::draft(&line).unwrap()).unwrap();
    stage.telegram().write_dc_seed(&stage.installation.state, 1).unwrap();
    let code = || stage.world().pending_login_code(&line.phone);
    gateway::log_in(&stage.installation, &line.phone, code, Some(PASSWORD), LIMIT).await.unwrap();
    (stage, line, exchange)
}

fn sessions(stage: &Stage, line: &Line) -> usize {
    stage.world().keys_of(line.account).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_gateway_accepts_the_clients_token_and_the_password_is_asked_for() {
    let (stage, line, _exchange) = room().await;
    let gateway = stage.run(&[&line]).await.unwrap();
    stage.telegram().write_dc_seed(&stage.installation.state, 1).unwrap();
    let said = Kind::Client
        .ask(&stage.installation, &["login", &line.phone], &format!("{PASSWORD}\n"), LIMIT)
        .await
        .unwrap();
    assert!(!said.contains("Code"), "no code was needed: {said}");
    assert_eq!(stage.world().count(line.account, "auth.acceptLoginToken"), 1);
    assert_eq!(sessions(&stage, &line), 2);
    let client = Kind::Client.start(&stage.installation).await.unwrap();
    client.stop().await.unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_telegram_refuses_ends_in_a_second_code() {
    let (stage, line, _exchange) = room().await;
    let gateway = stage.run(&[&line]).await.unwrap();
    let refusal = Action::Error { code: 400, message: "AUTH_TOKEN_INVALID".to_owned() };
    stage.world().add_fault(Match::method("auth.acceptLoginToken"), refusal);
    stage.telegram().write_dc_seed(&stage.installation.state, 1).unwrap();
    let code = || stage.world().pending_login_code(&line.phone);
    let command = Kind::Client.command(&stage.installation).unwrap();
    gateway::log_in_by(command, &line.phone, code, Some(PASSWORD), LIMIT).await.unwrap();
    assert_eq!(sessions(&stage, &line), 2);
    gateway.stop().await.unwrap();
    stage.done();
}

/// Nothing is asked twice: one code and one password for both sessions.
#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_login_logs_a_running_client_in_too() {
    let stage = Stage::on_loopback().await.unwrap();
    let exchange = Exchange::start(None, Duration::ZERO, false).unwrap();
    let line = stage.line("+79060000001").unwrap();
    stage.world().set_password(line.account, Some(PASSWORD));
    stage.write_line(&line, exchange.sip, stage::draft(&line).unwrap()).unwrap();
    stage.telegram().write_dc_seed(&stage.installation.state, 2).unwrap();
    let client = Kind::Client.start(&stage.installation).await.unwrap();
    let code = || stage.world().pending_login_code(&line.phone);
    gateway::log_in(&stage.installation, &line.phone, code, Some(PASSWORD), LIMIT).await.unwrap();
    let until = tokio::time::Instant::now() + LIMIT;
    while sessions(&stage, &line) < 2 {
        assert!(tokio::time::Instant::now() < until, "the client is not logged in: {}", client.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    client.stop().await.unwrap();
    stage.done();
}

/// An account at home in another data centre.
#[tokio::test(flavor = "multi_thread")]
async fn the_clients_token_follows_the_account_to_its_data_centre() {
    let stage = Stage::on_loopback().await.unwrap();
    let exchange = Exchange::start(None, Duration::ZERO, false).unwrap();
    let account = stage.user(NewUser::new("+79060000001", "Company").dc(4)).unwrap();
    let sip = std::net::SocketAddr::from(([127, 0, 0, 1], tgtrunk_tests::ports::free().unwrap()));
    let line = Line { phone: "+79060000001".to_owned(), account, sip };
    stage.open(&line, exchange.sip, stage::draft(&line).unwrap()).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    stage.telegram().write_dc_seed(&stage.installation.state, 1).unwrap();
    Kind::Client.ask(&stage.installation, &["login", &line.phone], "", LIMIT).await.unwrap();
    assert_eq!(sessions(&stage, &line), 2);
    gateway.stop().await.unwrap();
    stage.done();
}
