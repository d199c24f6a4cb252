//! What is wrong with settings.

use std::path::PathBuf;

use thiserror::Error;

use super::fields::FIELDS;
use super::nearest::nearest;
use crate::tls::TlsError;

/// What is wrong with settings, and where; always a mistake of whoever wrote them.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file could not be read.
    #[error("cannot read {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{file}: {problem}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, with the line.
        problem: String,
    },
    /// There is no such setting.
    #[error("{place}: there is no setting {field}{}", .nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default())]
    Unknown {
        /// The file, or the environment.
        place: String,
        /// The name as it stands there.
        field: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// A value cannot be used.
    #[error("{place}: {field} {problem}")]
    Invalid {
        /// The file, or the environment.
        place: String,
        /// The setting.
        field: String,
        /// The rest of the sentence.
        problem: String,
    },
    /// A setting is needed.
    #[error("the setting {field} is missing")]
    Missing {
        /// The setting.
        field: String,
    },
    /// The certificate cannot be used.
    #[error("{field}: {source}")]
    Tls {
        /// The setting that leads to it.
        field: String,
        /// What is wrong.
        source: TlsError,
    },
}

impl SettingsError {
    pub(super) fn unknown(place: &str, shown: &str, name: &str) -> Self {
        // In the environment everything is in capitals with underscores, and the answer has to be, too.
        let variable = (shown != name).then_some("TRANSOM_");
        let names = FIELDS.iter().map(|field| match variable {
            Some(prefix) => format!("{prefix}{}", field.name.replace('.', "_").to_uppercase()),
            None => field.name.to_owned(),
        });
        Self::Unknown { place: place.to_owned(), field: shown.to_owned(), nearest: nearest(shown, names) }
    }

    pub(super) fn invalid(place: &str, field: &str, problem: String) -> Self {
        Self::Invalid { place: place.to_owned(), field: field.to_owned(), problem }
    }
}
