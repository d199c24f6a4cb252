//! Logs of connections in files, with the feature `qlog`; without it there is nobody who could ask for them.

#[cfg(feature = "qlog")]
mod directory;
#[cfg(not(feature = "qlog"))]
mod nowhere;

#[cfg(feature = "qlog")]
pub(crate) use directory::QlogDirectory;
#[cfg(not(feature = "qlog"))]
pub(crate) use nowhere::QlogDirectory;
