//! Keys of the application's own, drawn from the TLS connection under a session.

use super::handles::Session;
use crate::ExportError;
use crate::wire::exporter;

impl Session<'_> {
    /// Fills `output` with keying material that both ends of this session, and nobody else, derive from the same label
    /// and context (draft-ietf-webtrans-http3-16, section 4.8).
    ///
    /// It can be derived again at any time while the session is open. An empty context is the same as none.
    ///
    /// # Errors
    ///
    /// `NotEstablished` before the session is open; everything else is a mistake of the caller. `output` is not to be
    /// used then.
    pub fn export_keying_material(&self, label: &[u8], context: &[u8], output: &mut [u8]) -> Result<(), ExportError> {
        let session = self.connection.sessions.get(self.id);
        if !session.is_some_and(crate::session::SessionState::is_open) {
            return Err(ExportError::NotEstablished);
        }
        if label.len() > exporter::MAX_LENGTH {
            return Err(ExportError::LabelTooLong);
        }
        let Some(context) = exporter::context(self.id.0, label, context) else {
            return Err(ExportError::ContextTooLong);
        };
        // TLS refuses an empty output, for which there is nothing to do.
        if output.is_empty() || self.connection.quic.export_keying_material(exporter::LABEL, &context, output) {
            return Ok(());
        }
        // The session is open, so the handshake is complete: only the length can be wrong (RFC 5869, section 2.3).
        Err(ExportError::OutputTooLong)
    }
}
