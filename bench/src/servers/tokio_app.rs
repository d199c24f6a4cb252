//! A `ServerApp` on tokio.

use super::app::{Spawn, app, tls};
use super::{Failure, Setup, announce};

pub(super) async fn serve(setup: &Setup) -> Result<(), Failure> {
    let server = app(setup, Tokio).bind(setup.listen, tls(setup)?).workers(1).start()?;
    announce(server.local_addrs()[0]);
    server.wait().await?;
    Ok(())
}

#[derive(Clone)]
struct Tokio;

impl Spawn for Tokio {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }
}
