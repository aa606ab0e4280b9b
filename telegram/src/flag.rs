//! A flag that is raised once and waited for by many.

use tokio::sync::watch;

/// Returns once the flag is raised, or nobody is left who could.
pub(crate) async fn raised(flag: &mut watch::Receiver<bool>) {
    // The borrow of the value must not live on: it cannot cross threads.
    let _ = flag.wait_for(|raised| *raised).await.is_ok();
}
