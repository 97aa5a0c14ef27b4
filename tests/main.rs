//! The integration tests, one binary. `cli` runs the command line, `cases` the engine on packets made
//! here, `live` the real kernel in network namespaces.

mod cases;
mod cli;
mod live;
mod session;
