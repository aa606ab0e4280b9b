//! Requests at another data centre than the account's own: a file lies where whoever sent it lives
//! (core.telegram.org/api/files, core.telegram.org/api/datacenter).

use grammers_session::Session as _;
use grammers_tl_types::{self as tl, Deserializable as _, RemoteCall, Serializable as _, name_for_id};
use tokio::time::timeout;
use tracing::debug;

use crate::core::Core;
use crate::invoke::{InvokeError, Policy};

impl Core {
    /// Invokes a request at a data centre, where the account shows itself first if it is not known there. What goes wrong
    /// there says nothing of the account.
    pub(crate) async fn invoke_at<R: RemoteCall>(
        &self,
        dc: i32,
        request: &R,
        policy: Policy,
    ) -> Result<R::Return, InvokeError> {
        let is_known = self.session.dc_option(dc).is_ok_and(|option| option.is_some());
        if dc == self.session.home_dc() || !is_known {
            return self.invoke(request, policy).await;
        }
        let body = match self.away(dc, request.to_bytes(), policy).await {
            Err(InvokeError::Revoked { .. }) => {
                self.introduce(dc, policy).await?;
                self.away(dc, request.to_bytes(), policy).await
            }
            answer => answer,
        };
        let body = body.map_err(|error| match error {
            InvokeError::Revoked { .. } => {
                InvokeError::Offline { cause: format!("data centre {dc} lets nobody in") }
            }
            error => error,
        })?;
        R::Return::from_bytes(&body).map_err(|error| InvokeError::Malformed { cause: error.to_string() })
    }

    /// Shows a data centre that the account is logged in at its own.
    async fn introduce(&self, dc: i32, policy: Policy) -> Result<(), InvokeError> {
        let request = tl::functions::auth::ExportAuthorization { dc_id: dc };
        let tl::enums::auth::ExportedAuthorization::Authorization(exported) =
            self.invoke(&request, policy).await?;
        let request = tl::functions::auth::ImportAuthorization { id: exported.id, bytes: exported.bytes };
        match self.away(dc, request.to_bytes(), policy).await {
            Ok(_) => Ok(()),
            Err(InvokeError::Revoked { .. }) => {
                Err(InvokeError::Offline { cause: format!("data centre {dc} lets nobody in") })
            }
            Err(error) => Err(error),
        }
    }

    async fn away(&self, dc: i32, body: Vec<u8>, policy: Policy) -> Result<Vec<u8>, InvokeError> {
        let method = body.first_chunk().map_or("", |id| name_for_id(u32::from_le_bytes(*id)));
        let limit = policy.limit();
        let answer = async { timeout(limit, async { self.link().await.ask_raw(dc, body).await }).await };
        match self.guarded(answer, policy).await? {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                debug!(method, dc, %error, "request failed");
                Err(InvokeError::judge(error))
            }
            Err(_) => Err(InvokeError::Timeout { method, after: limit }),
        }
    }
}
