//! An answer that comes a line at a time.

use std::collections::VecDeque;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::ClientError;

/// A line longer than this does not come from our agent.
const LINE_MAX: usize = 1 << 20;

/// The lines of an answer, without their ends.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    whole: VecDeque<Vec<u8>>,
    begun: Vec<u8>,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            body,
            whole: VecDeque::new(),
            begun: Vec::new(),
        }
    }

    /// Waits for the next line; `None` at the end of the answer. A line that was cut off is not given out.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            if let Some(line) = self.whole.pop_front() {
                return Ok(Some(line));
            }
            let Some(frame) = self.body.frame().await else {
                return if self.begun.is_empty() {
                    Ok(None)
                } else {
                    Err(ClientError::Body("it ended within a line".to_owned()))
                };
            };
            if let Ok(data) = frame.map_err(ClientError::Http)?.into_data() {
                self.take(&data)?;
            }
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), ClientError> {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    self.begun.extend_from_slice(end);
                    self.whole.push_back(std::mem::take(&mut self.begun));
                }
                None => self.begun.extend_from_slice(piece),
            }
            if self.begun.len() > LINE_MAX {
                return Err(ClientError::Body(format!(
                    "a line is longer than {LINE_MAX} bytes"
                )));
            }
        }
        Ok(())
    }
}
