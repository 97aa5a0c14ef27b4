//! The `nids` command: parses the command line, hands over, turns the result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    nids::cli::main()
}
