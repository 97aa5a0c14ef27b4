//! What joins the stages: workers, start and stop order, reload.
