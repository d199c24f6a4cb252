//! The certificate that new connections are shown, and who is told of it.

use std::sync::{Arc, Weak};

use transom_core::rt::Runtime;

use super::Watchers;
use super::shutdown::{WeakHandle, until_done};
use crate::tls::{self, CertificateObserver, Tls};

/// A server's certificate, watched for as long as it is that.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) tls: Tls,
    observer: Arc<Observer>,
}

/// Tells those who want to know; gone with the [`Certificate`] that it was made for.
#[derive(Debug)]
struct Observer(Weak<Watchers>);

impl Certificate {
    pub(super) fn new(tls: Tls, watchers: &Arc<Watchers>) -> Self {
        let certificate = Self { tls, observer: Arc::new(Observer(Arc::downgrade(watchers))) };
        certificate.tls.observe(certificate.observer());
        certificate
    }

    /// Looks again and again whether it has to change, if that was asked for.
    pub(super) fn keep(&self, server: WeakHandle, runtime: &Arc<dyn Runtime>) {
        let Some(interval) = self.tls.watch_interval() else { return };
        let keeping = tls::keep(self.tls.clone(), interval, Arc::clone(runtime), self.observer());
        runtime.spawn(Box::pin(async move {
            until_done(Box::pin(keeping), server).await;
        }));
    }

    fn observer(&self) -> Weak<dyn CertificateObserver> {
        Arc::<Observer>::downgrade(&self.observer)
    }
}

impl CertificateObserver for Observer {
    fn changed(&self, sha256: [u8; 32]) {
        if let Some(watchers) = self.0.upgrade() {
            watchers.certificate_changed(sha256);
        }
    }

    fn failed(&self, problem: &str) {
        if let Some(watchers) = self.0.upgrade() {
            watchers.certificate_failed(problem);
        }
    }
}
