//! The certificate that is shown now, and where the next one comes from.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::SystemTime;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::rotation::Rotation;
use super::{Files, TlsError, files};

/// What all clones of a [`Tls`](super::Tls) share.
pub(super) struct Store {
    current: RwLock<Arc<Certificate>>,
    source: Mutex<Source>,
    /// Servers that use it.
    observers: Mutex<Vec<Weak<dyn CertificateObserver>>>,
}

/// Who wants to know what becomes of a certificate.
pub(crate) trait CertificateObserver: Send + Sync {
    /// There is another one, with this hash.
    fn changed(&self, sha256: [u8; 32]);

    /// There should be another one, and it cannot be used.
    fn failed(&self, problem: &str);
}

/// Where certificates come from.
pub(super) enum Source {
    /// Only from the application.
    Given,
    /// From these files, which looked like this when they were last read.
    Files(Files, Option<files::Stamps>),
    /// From ourselves, again and again.
    Rotation(Rotation),
}

impl Store {
    pub(super) fn new(certificate: Certificate, source: Source) -> Self {
        Self { current: RwLock::new(Arc::new(certificate)), source: Mutex::new(source), observers: Mutex::default() }
    }

    pub(super) fn current(&self) -> Arc<Certificate> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses another certificate, and tells those who want to know.
    pub(super) fn replace(&self, certificate: Arc<Certificate>) {
        let changed = certificate.sha256() != self.current().sha256();
        self.set(certificate);
        if changed {
            self.tell();
        }
    }

    /// Tells somebody of changes from now on, for as long as there is somebody.
    pub(super) fn observe(&self, observer: Weak<dyn CertificateObserver>) {
        let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(observer);
    }

    fn tell(&self) {
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sha256 = self.current().sha256();
        observers.iter().filter_map(Weak::upgrade).for_each(|observer| observer.changed(sha256));
    }

    fn set(&self, certificate: Arc<Certificate>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// The current hash, and the next one where it is known.
    pub(super) fn hashes(&self) -> Vec<[u8; 32]> {
        let source = self.source();
        let mut hashes = vec![self.current().sha256()];
        if let Source::Rotation(rotation) = &*source {
            hashes.push(rotation.next.sha256());
        }
        hashes
    }

    /// See [`Tls::reload`](super::Tls::reload).
    pub(super) fn reload(&self, now: SystemTime) -> Result<bool, TlsError> {
        let changed = self.reload_untold(now)?;
        if changed {
            self.tell();
        }
        Ok(changed)
    }

    fn reload_untold(&self, now: SystemTime) -> Result<bool, TlsError> {
        let mut source = self.source();
        match &mut *source {
            Source::Given => Err(TlsError::NoFiles),
            Source::Files(paths, stamps) => {
                // Before reading, so that a change meanwhile shows next time.
                let found = files::stamps(paths);
                let certificate = files::read(paths)?;
                *stamps = found;
                let changed = certificate.sha256() != self.current().sha256();
                self.set(Arc::new(certificate));
                Ok(changed)
            }
            Source::Rotation(rotation) => self.rotate(rotation, now),
        }
    }

    /// The same where it costs little to see that nothing has changed.
    pub(super) fn reload_if_changed(&self, now: SystemTime) -> Result<bool, TlsError> {
        let unchanged = match &*self.source() {
            Source::Given => true,
            Source::Files(paths, stamps) => stamps.is_some() && *stamps == files::stamps(paths),
            Source::Rotation(_) => false,
        };
        if unchanged { Ok(false) } else { self.reload(now) }
    }

    fn rotate(&self, rotation: &mut Rotation, now: SystemTime) -> Result<bool, TlsError> {
        let mut changed = false;
        // After a long sleep of the machine several steps may be due.
        while let Some(certificate) = rotation.step(&self.current(), now)? {
            self.set(certificate);
            changed = true;
        }
        Ok(changed)
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Store {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current().certified))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
