//! The control socket: what may be asked of a running sensor, and what it answers.
//!
//! A unix stream socket, one JSON object a line each way. A client sends `{"command":"status"}` and gets one
//! line with `"ok":true` and the facts, or `"ok":false` and an `error` in words. Before that line the
//! answer to `refused` has one line for each refused rule. Requests may follow one another.
//!
//! ```text
//! client (nids reload, ...) --line--> server --Call--> the control thread (runtime::control)
//!                           <--lines--        <-Answer-
//! ```
//!
//! Lines and clients are bounded in size, number and time, since whoever may open the socket must still not
//! be able to stop the sensor. Who may open it is said by the owner and mode of the socket's file.

mod answer;
pub mod client;
mod listener;
mod request;
mod server;

pub use answer::{Answer, Health, LastReload, Loss, PortStatus, Reloaded, Status, Version};
pub use listener::{ListenError, Listener};
pub use request::{MAX_LINE, Request, RequestError};
pub(crate) use server::ask;
pub use server::{Call, Caller, serve};
