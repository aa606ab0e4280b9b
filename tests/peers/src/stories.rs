//! Several stories on one stage, told at the same time: most of their length is waiting for timers.

use anyhow::Context as _;
use tokio::task::JoinSet;

/// Stories under way.
#[derive(Default)]
pub struct Stories(JoinSet<anyhow::Result<()>>);

impl Stories {
    /// Begins one; its name tells which one failed.
    pub fn begin(
        &mut self,
        name: impl Into<String>,
        story: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let name = name.into();
        self.0.spawn(async move { story.await.with_context(|| name) });
    }

    /// Waits for all of them, also when some fail.
    ///
    /// # Errors
    /// With all that went wrong.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let mut wrong = Vec::new();
        while let Some(story) = self.0.join_next().await {
            match story {
                Ok(Ok(())) => {}
                Ok(Err(error)) => wrong.push(format!("{error:#}")),
                Err(panic) => wrong.push(panic.to_string()),
            }
        }
        anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }
}
