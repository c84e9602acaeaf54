//! Errors as they are shown.

use std::error::Error;

/// An error with all its causes, on one line: `the work on cuda:0 failed: out of memory`.
pub fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message += &format!(": {error}");
        cause = error.source();
    }
    message
}
