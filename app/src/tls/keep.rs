//! Looking again and again whether the certificate has to change.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use transom_core::rt::Runtime;

use super::{CertificateObserver, Tls};
use crate::blocking::on_thread;
use crate::driver::Deadline;

/// Keeps a certificate up to date, for as long as there is the observer.
pub(crate) async fn keep(
    tls: Tls,
    interval: Duration,
    runtime: Arc<dyn Runtime>,
    observer: Weak<dyn CertificateObserver>,
) {
    let mut reported = None;
    loop {
        Deadline::after(&runtime, interval).wait().await;
        if observer.strong_count() == 0 {
            return;
        }
        let store = Arc::clone(&tls.store);
        // Files may be on a disk that sleeps.
        let looked = on_thread(&*runtime, move || store.reload_if_changed(SystemTime::now())).await;
        let problem = match looked {
            Ok(Ok(true)) => {
                tracing::info!(sha256 = %tls.certificate_sha256_hex(), "certificate changed");
                None
            }
            Ok(Ok(false)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = &problem
            && reported.as_ref() != Some(problem)
        {
            tracing::error!(%problem, "the certificate cannot be changed, the old one stays");
            if let Some(observer) = observer.upgrade() {
                observer.failed(problem);
            }
        }
        reported = problem;
    }
}
