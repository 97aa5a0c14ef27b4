//! What joins the stages: workers, start and stop order, reload, rights.
//!
//! **Start.** Rules are loaded and compiled, outputs opened, programs loaded and attached (passing and
//! counting, handing nothing over), rights given up, workers started, and only then do the programs
//! hand over frames. **Stop.** The programs are taken off and their last runs awaited, the workers drain
//! the rings to the end, the outputs are written out, and the balance is exact.

mod app;
mod capture;
pub mod control;
pub mod engine;
mod figures;
mod flows;
pub mod heartbeat;
pub mod privilege;
mod record;
pub mod reload;
pub mod rules;
pub mod sandbox;
pub mod sensor;
pub mod services;
mod shunting;
pub mod worker;
