//! What the machine does with nothing around it.

use std::path::Path;

use axum::Router;
use axum::routing::{delete, get};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Commits in a second, each of one row of a message's length, and on the disk when it returns.
pub(crate) async fn commits(folder: &Path, count: u32) -> f64 {
    let file = folder.join("floor.db");
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let table = "CREATE TABLE IF NOT EXISTS floor (id INTEGER PRIMARY KEY, body TEXT NOT NULL)";
    sqlx::query(table).execute(&pool).await.unwrap();
    let body = "x".repeat(800);
    let began = Instant::now();
    for _ in 0..count {
        let mut transaction = pool.begin().await.unwrap();
        let row = sqlx::query("INSERT INTO floor (body) VALUES ($1)").bind(&body);
        row.execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    pool.close().await;
    rate
}

/// How many notifications a server that makes them up is asked for and told to forget in a second.
pub(crate) async fn answers(count: u32) -> f64 {
    let body = json!({
        "receiptId": 1,
        "body": {"typeWebhook": "incomingMessageReceived", "idMessage": "1763115112345", "text": "x".repeat(600)},
    });
    let told = body.to_string();
    let router = Router::new()
        .route("/told", get(move || async move { told }))
        .route("/told/1", delete(|| async { r#"{"result":true}"# }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/told", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let began = Instant::now();
    for _ in 0..count {
        let told = http.get(&url).send().await.unwrap().bytes().await.unwrap();
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["receiptId"], 1);
        let gone = http.delete(format!("{url}/1")).send().await.unwrap().bytes().await.unwrap();
        assert!(!gone.is_empty());
    }
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    serving.abort();
    rate
}
