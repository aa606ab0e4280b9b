//! A copy of a program's database while the program goes on.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::database::DatabaseError;

/// How long the copy waits for a writer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Copies the database at `from` as it is at one moment into the file `to`, which must not be there. Others may write to
/// it meanwhile (SQLite's `VACUUM INTO`).
///
/// # Errors
/// [`DatabaseError::Sql`] when it cannot be read, or the copy not written.
pub async fn copy_database(from: &Path, to: &Path) -> Result<(), DatabaseError> {
    let sql = |source| DatabaseError::Sql { path: from.to_path_buf(), source };
    let options = SqliteConnectOptions::new()
        .filename(from)
        .read_only(true)
        .busy_timeout(PATIENCE)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(sql)?;
    let target = to.to_string_lossy().into_owned();
    let copied = sqlx::query("VACUUM INTO ?").bind(target).execute(&mut connection).await;
    connection.close().await.map_err(sql)?;
    copied.map(drop).map_err(sql)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;

    #[tokio::test]
    async fn a_database_in_use_is_copied_with_what_was_written_last() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("in-use.db"), folder.path().join("copy.db"));
        let database = Database::open(&path).await.unwrap();
        sqlx::query("CREATE TABLE word (text TEXT)").execute(database.pool()).await.unwrap();
        sqlx::query("INSERT INTO word VALUES ('last')").execute(database.pool()).await.unwrap();
        copy_database(&path, &copy).await.unwrap();
        let copied = Database::open(&copy).await.unwrap();
        let (text,): (String,) =
            sqlx::query_as("SELECT text FROM word").fetch_one(copied.pool()).await.unwrap();
        assert_eq!(text, "last");
        assert!(copy_database(&path, &copy).await.is_err(), "a copy does not go over another file");
    }
}
