//! A number's database copied while the client works, by SQLite of another make, and used as its state later.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use crate::ledger::Books;
use crate::support::phone;

/// How a database in use is copied, as its makers document: sqlite.org/backup.html, sqlite.org/lang_vacuum.html.
const WAYS: [&str; 2] = [
    "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))",
    "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', (sys.argv[2],))",
];

async fn copy(way: &str, from: &Path, to: &Path) {
    let done = Command::new("/usr/bin/python3").arg("-c").arg(way).arg(from).arg(to).output().await.unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_the_client_works_takes_its_place_and_nothing_is_doubled() {
    for way in WAYS {
        let mut books = Books::open().await;
        books.kill().await;
        books.without_pauses().await;
        books.start().await;
        let file = books.scene.state.client_db(&phone());
        let folder = tempfile::tempdir().unwrap();
        let copied = folder.path().join("copy.db");
        let copying = tokio::spawn({
            let (file, copied) = (file.clone(), copied.clone());
            async move {
                sleep(Duration::from_millis(100)).await;
                copy(way, &file, &copied).await;
            }
        });
        // What is accepted while it is copied may be in the copy or not, sent or not.
        let mut count = 0;
        while !copying.is_finished() || count < 20 {
            count += 1;
            assert!(books.send(&format!("out {count}")).await);
            books.say(&format!("in {count}"));
        }
        copying.await.unwrap();
        // All is done and told before the copy takes the place of what knows that.
        books.balance().await;
        books.kill().await;
        for end in ["-wal", "-shm"] {
            let mut beside = file.clone().into_os_string();
            beside.push(end);
            std::fs::remove_file(beside).ok();
        }
        std::fs::copy(&copied, &file).unwrap();
        // Token and settings are those of the copy, and the queue goes out whose messages Telegram has.
        books.start().await;
        assert!(books.send("out after").await);
        books.say("in after");
        books.balance_restored().await;
    }
}
