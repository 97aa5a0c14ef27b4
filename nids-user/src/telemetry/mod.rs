//! Counters, and the balance: seen = filtered + forwarded + lost, forwarded = inspected + skipped.
