//! `nids reload`: has the running sensor load its rules anew, and says what came of it.

use super::exit::Failure;
use super::socket::{SocketArgs, body, print};
use crate::control::{Reloaded, Request, client};

/// Has the running sensor load its rules anew, without losing a packet.
///
/// The rules are built aside and take the place of the old ones at once; where they cannot be, the old ones
/// stay, and the exit code is 1. Flows and what rules remember of them, thresholds and bits of hosts live on.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print the answer as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketArgs,
}

/// Waits until the rules are in force.
pub fn run(args: Args) -> Result<(), Failure> {
    let go_on = |_: &[u8]| Ok(std::ops::ControlFlow::Continue(()));
    let line = client::ask_line(&args.socket.socket, Request::Reload, go_on)?.unwrap_or_default();
    if args.json {
        return print(&body(&line));
    }
    let Reloaded { generation, summary, build_seconds, swap_seconds } = client::read(&line)?;
    print(&format!(
        "generation {generation}: {} loaded, {} refused, {} disabled; built in {build_seconds:.3} s, in force after {:.1} ms\n",
        summary.loaded,
        summary.refused,
        summary.disabled,
        swap_seconds * 1000.0
    ))
}
