//! Certificates that browsers accept by their hash, one after the other without a gap.
//!
//! Such a certificate lives for 14 days at most. So the next one is made long before it is needed and its hash is
//! published beside the current one: a page that was loaded any time before the change knows both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::certificate::Certificate;
use super::self_signed::{CLOCK_SKEW, MAX_DAYS_BY_HASH, checked_names, make};
use super::store::Source;
use super::{Tls, TlsError, files, pem};

/// The certificate after the current one, and how to make those that follow.
pub(super) struct Rotation {
    names: Vec<String>,
    pub(super) next: Arc<Certificate>,
    /// Where both are kept over a restart.
    directory: Option<PathBuf>,
}

impl Tls {
    /// Makes certificates for these DNS names and IP addresses that browsers accept by their hash, for as long as the
    /// server runs.
    ///
    /// Publish all of [`certificate_hashes`](Self::certificate_hashes) with the page. Each certificate is used until two
    /// days before its end, and the hash of the next one is among them about twelve days before it is used. After a
    /// restart there are other certificates; [`rotating_in`](Self::rotating_in) keeps them.
    ///
    /// # Errors
    ///
    /// [`TlsError::InvalidName`] when a name is neither a DNS name nor an IP address, or there is none.
    pub fn rotating<I>(names: I) -> Result<Self, TlsError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::rotating_from(checked_names(names)?, None, SystemTime::now())
    }

    /// The same with the certificates and keys kept in a directory, as `current.pem` and `next.pem`, so that hashes
    /// stay good over a restart.
    ///
    /// The directory is made if it is missing. Certificates found there are used whatever names stand in them.
    ///
    /// # Errors
    ///
    /// Those of [`rotating`](Self::rotating), and when the directory cannot be used or has damaged files.
    pub fn rotating_in<I>(directory: impl AsRef<Path>, names: I) -> Result<Self, TlsError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::rotating_from(checked_names(names)?, Some(directory.as_ref().to_owned()), SystemTime::now())
    }

    fn rotating_from(names: Vec<String>, directory: Option<PathBuf>, now: SystemTime) -> Result<Self, TlsError> {
        let kept = match &directory {
            Some(directory) => (load(&directory.join(CURRENT))?, load(&directory.join(NEXT))?),
            None => (None, None),
        };
        let (current, next) = match kept {
            (Some(current), next) => (current, next),
            (None, _) => (make(&names, now - CLOCK_SKEW, MAX_DAYS_BY_HASH)?, None),
        };
        // The same twice is a change that was interrupted before the new next one was written, or published.
        let next = match next.filter(|next| next.sha256() != current.sha256()) {
            Some(next) => next,
            None => make(&names, change_time(&current, now) - CLOCK_SKEW, MAX_DAYS_BY_HASH)?,
        };
        let rotation = Rotation { names, next: Arc::new(next), directory };
        rotation.save(&current)?;
        let tls = Self::new(current, Source::Rotation(rotation));
        tls.store.reload(now)?;
        Ok(tls)
    }
}

impl Rotation {
    /// The certificate to change to, if it is time; `current` is the one in use.
    pub(super) fn step(
        &mut self,
        current: &Certificate,
        now: SystemTime,
    ) -> Result<Option<Arc<Certificate>>, TlsError> {
        if now < change_time(current, now) {
            return Ok(None);
        }
        // Who slept through the whole life of the next one starts anew.
        let (new, next) = if usable(&self.next, now) {
            let start = change_time(&self.next, now) - CLOCK_SKEW;
            (Arc::clone(&self.next), make(&self.names, start, MAX_DAYS_BY_HASH)?)
        } else {
            let new = make(&self.names, now - CLOCK_SKEW, MAX_DAYS_BY_HASH)?;
            let start = change_time(&new, now) - CLOCK_SKEW;
            (Arc::new(new), make(&self.names, start, MAX_DAYS_BY_HASH)?)
        };
        let stepped = Self { names: self.names.clone(), next: Arc::new(next), directory: self.directory.clone() };
        // A hash is published only when it cannot be lost any more.
        stepped.save(&new)?;
        *self = stepped;
        Ok(Some(new))
    }

    fn save(&self, current: &Certificate) -> Result<(), TlsError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        std::fs::create_dir_all(directory).map_err(|source| TlsError::File { path: directory.clone(), source })?;
        // In this order no published one is lost, whatever happens in between.
        save(&directory.join(CURRENT), current)?;
        save(&directory.join(NEXT), &self.next)
    }
}

/// When a certificate gives way to the next.
fn change_time(certificate: &Certificate, now: SystemTime) -> SystemTime {
    certificate.validity.map_or(now, |(_, end)| end - OVERLAP)
}

/// Whether a certificate can be shown at a time, also to clients whose clock is behind.
fn usable(certificate: &Certificate, now: SystemTime) -> bool {
    certificate.validity.is_some_and(|(start, end)| start <= now && now < end - OVERLAP)
}

fn load(path: &Path) -> Result<Option<Certificate>, TlsError> {
    let text = match files::text(path) {
        Err(TlsError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let pair = pem::certificates_from(&text).and_then(|chain| Certificate::new(chain, pem::key_from(&text)?));
    pair.map(Some).map_err(|error| error.within(path))
}

/// Replaces a file in one step, readable by us alone.
fn save(path: &Path, certificate: &Certificate) -> Result<(), TlsError> {
    let temporary = path.with_extension("tmp");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let text = certificate.chain_pem() + &certificate.key_pem();
    let written = options.open(&temporary).and_then(|mut file| {
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    });
    written.map_err(|source| TlsError::File { path: path.to_owned(), source })
}

/// How long before its end a certificate is given up.
const OVERLAP: Duration = Duration::from_secs(2 * 24 * 3600);

const CURRENT: &str = "current.pem";
const NEXT: &str = "next.pem";

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn names() -> Vec<String> {
        vec![String::from("localhost")]
    }

    /// A directory that goes with the test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("transom-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn every_certificate_was_published_long_before_it_is_used() {
        let start = SystemTime::now();
        let tls = Tls::rotating_from(names(), None, start).unwrap();
        let mut published: Vec<(SystemTime, [u8; 32])> = Vec::new();
        let mut changes = 0;
        for hour in 0..100 * 24 {
            let now = start + DAY * hour / 24;
            changes += u32::from(tls.store.reload(now).unwrap());
            let shown = tls.certificate_sha256();
            if hour > 0 {
                let first = published.iter().find(|(_, hash)| *hash == shown).map(|(time, _)| *time);
                let first = first.expect("a certificate is used whose hash nobody was told");
                assert!(first == start || now.duration_since(first).unwrap() >= DAY * 11);
            }
            for hash in tls.certificate_hashes() {
                if !published.iter().any(|(_, known)| *known == hash) {
                    published.push((now, hash));
                }
            }
            let (from, until) = tls.validity().unwrap();
            assert!(from <= now && now < until, "in hour {hour} the certificate is not valid");
            assert!(until.duration_since(from).unwrap() <= DAY * 14);
        }
        assert!((7..=9).contains(&changes), "{changes} changes in a hundred days");
    }

    #[test]
    fn a_page_knows_both_hashes_around_a_change() {
        let start = SystemTime::now();
        let tls = Tls::rotating_from(names(), None, start).unwrap();
        let page = tls.certificate_hashes();
        assert_eq!(page.len(), 2);
        assert!(!tls.store.reload(start + DAY * 11).unwrap());
        assert_eq!(tls.certificate_sha256(), page[0]);
        assert!(tls.store.reload(start + DAY * 12).unwrap());
        assert_eq!(tls.certificate_sha256(), page[1]);
        assert!(!tls.certificate_hashes().contains(&page[0]), "what is not shown any more is not published");
    }

    #[test]
    fn who_sleeps_for_months_starts_anew() {
        let start = SystemTime::now();
        let tls = Tls::rotating_from(names(), None, start).unwrap();
        let later = start + DAY * 60;
        assert!(tls.store.reload(later).unwrap());
        let (from, until) = tls.validity().unwrap();
        assert!(from <= later && later + DAY * 10 < until);
        assert_eq!(tls.certificate_hashes().len(), 2);
    }

    #[test]
    fn a_restart_changes_nothing() {
        let directory = Directory::new("rotation");
        let start = SystemTime::now();
        let open = |now| Tls::rotating_from(names(), Some(directory.0.clone()), now).unwrap();
        let first = open(start).certificate_hashes();
        assert_eq!(open(start + DAY).certificate_hashes(), first);
        let later = open(start + DAY * 13).certificate_hashes();
        assert_eq!(later[0], first[1], "the change was due while nobody ran");
        assert_eq!(open(start + DAY * 13).certificate_hashes(), later);
        #[cfg(unix)]
        for name in [CURRENT, NEXT] {
            let metadata = std::fs::metadata(directory.0.join(name)).unwrap();
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o600);
        }
    }

    #[test]
    fn an_interrupted_change_loses_no_published_hash() {
        let directory = Directory::new("interrupted");
        let start = SystemTime::now();
        let open = |now| Tls::rotating_from(names(), Some(directory.0.clone()), now).unwrap();
        let published = open(start).certificate_hashes();
        std::fs::copy(directory.0.join(NEXT), directory.0.join(CURRENT)).unwrap();
        let hashes = open(start + DAY * 13).certificate_hashes();
        assert_eq!(hashes[0], published[1]);
        assert_ne!(hashes[1], hashes[0]);
    }

    #[test]
    fn damaged_files_are_named() {
        let directory = Directory::new("damaged");
        std::fs::create_dir_all(&directory.0).unwrap();
        std::fs::write(directory.0.join(NEXT), "nonsense").unwrap();
        let error = Tls::rotating_in(&directory.0, ["localhost"]).unwrap_err();
        assert!(error.to_string().contains("next.pem"), "{error}");
    }
}
