//! Exit codes, as `e2egraph --help` lists them.

use crate::client::{NoServer, Refused};
use store::{InspectError, RestoreError};

/// The command line asks for something that cannot be, beyond what its grammar tells.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub String);

/// The thing asked for does not exist.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotThere(pub String);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// The command line is wrong.
    Wrong,
    /// The question was not understood, or the thing asked for does not exist.
    NotThere,
    /// A regression without a cause that has enough evidence.
    NotProven,
    /// No server.
    NoServer,
}

impl Exit {
    /// The number scripts see.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Wrong => 2,
            Exit::NotThere => 3,
            Exit::NotProven => 4,
            Exit::NoServer => 5,
        }
    }

    /// From an answer's status.
    pub fn of_status(status: &str) -> Exit {
        match status {
            "not_understood" => Exit::NotThere,
            "not_proven" => Exit::NotProven,
            _ => Exit::Done,
        }
    }

    /// From an error.
    pub fn of_error(error: &anyhow::Error) -> Exit {
        if error.downcast_ref::<NoServer>().is_some() {
            Exit::NoServer
        } else if error.downcast_ref::<Wrong>().is_some() {
            Exit::Wrong
        } else if error.downcast_ref::<NotThere>().is_some()
            || error.downcast_ref::<Refused>().is_some_and(|r| r.status == 404)
            || matches!(error.downcast_ref(), Some(InspectError::NotThere(_)))
            || matches!(error.downcast_ref(), Some(RestoreError::Copy(InspectError::NotThere(_))))
        {
            Exit::NotThere
        } else {
            Exit::Failed
        }
    }
}
