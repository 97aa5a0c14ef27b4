//! What can be odd about DNS: Suricata's rules/dns-events.rules.

crate::app_events! {
    /// Questions or answers cannot be read.
    MalformedData = "malformed_data",
    /// What goes to the server is a response.
    NotARequest = "not_a_request",
    /// What comes from the server is a request.
    NotAResponse = "not_a_response",
    /// The bit is set that must be zero.
    ZFlagSet = "z_flag_set",
    /// An opcode that nobody defined.
    InvalidOpcode = "invalid_opcode",
    /// A name is longer than what is kept, or all of them together are.
    NameTooLong = "name_too_long",
    /// A compression pointer points at itself.
    InfiniteLoop = "infinite_loop",
    /// A name of more labels than are followed.
    TooManyLabels = "too_many_labels",
    /// Authorities cannot be read.
    InvalidAuthorities = "invalid_authorities",
    /// Additional records cannot be read.
    InvalidAdditionals = "invalid_additionals",
}
