//! Delivering: one request, one answer.
//!
//! [`WebhookClient`] sends one [`Request`] and always comes back with an [`Answer`](crate::forwarder::judge::Answer), within
//! the configured timeout. It never follows a redirect, never asks a proxy of the environment and never repeats a request
//! by itself. What an answer means is not decided here.

mod body;
mod certificate;
mod credentials;
mod excerpt;
mod failure;
mod identity;
mod oauth;
mod response;
mod retry_after;
mod tls;
mod webhook;

#[cfg(test)]
mod tests;

use crate::{local_file, token};

#[cfg(test)]
pub use certificate::Certificate;
pub use response::BULK_ANSWER;
pub use webhook::{Request, Session, WebhookClient, WebhookError};
