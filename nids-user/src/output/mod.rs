//! Alerts on their way out: a bounded queue, one writer thread, and the sinks behind it.
//!
//! A sink that fails is counted and tried again; it never stops the others or the workers.
