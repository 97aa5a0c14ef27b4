//! Decoder events: what was wrong with a packet, under Suricata's names (rules/decoder-events.rules).

use std::fmt;

/// A set of events, one bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Events([u64; 3]);

impl Events {
    /// Adds an event.
    #[inline]
    pub fn raise(&mut self, event: Event) {
        let bit = event as u8;
        if let Some(word) = self.0.get_mut(usize::from(bit >> 6)) {
            *word |= 1 << (bit & 63);
        }
    }
    /// Whether it was raised.
    #[inline]
    pub fn contains(self, event: Event) -> bool {
        let bit = event as u8;
        self.0.get(usize::from(bit >> 6)).is_some_and(|word| word >> (bit & 63) & 1 == 1)
    }
    /// Whether nothing was raised.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == [0; 3]
    }
    /// The events, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Event> {
        (0..).zip(self.0).flat_map(|(at, word)| {
            let mut left: u64 = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| at * 64 + left.trailing_zeros() as usize)?;
                left &= left - 1;
                Event::ALL.get(bit).copied()
            })
        })
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Event::name)).finish()
    }
}

/// Declares [`Event`] with the name of each beside it, so that no event can be without one.
macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $name:literal,)*) => {
        /// One malformation. The value is its bit in [`Events`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Event {
            $($(#[$doc])* #[doc = concat!("`", $name, "`")] $event,)*
        }

        impl Event {
            /// All events, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$event),*];

            /// Suricata's name, without the `decoder.` that its logs put before it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$event => $name,)* }
            }

            /// Its name among the counters, as Suricata has it.
            pub const fn counter(self) -> &'static str {
                match self { $(Self::$event => concat!("decoder.event.", $name),)* }
            }
        }
    };
}

events! {
    EthernetTooSmall = "ethernet.pkt_too_small",
    VlanTooSmall = "vlan.header_too_small",
    VlanUnknownType = "vlan.unknown_type",
    VlanTooManyLayers = "vlan.too_many_layers",
    SllTooSmall = "sll.pkt_too_small",
    Sll2TooSmall = "sll2.pkt_too_small",
    NullTooSmall = "ltnull.pkt_too_small",
    NullUnsupportedType = "ltnull.unsupported_type",
    PppTooSmall = "ppp.pkt_too_small",
    PppUnsupportedProtocol = "ppp.unsup_proto",
    PppVjUncompressedTooSmall = "ppp.vju_pkt_too_small",
    PppIpv4TooSmall = "ppp.ip4_pkt_too_small",
    PppIpv6TooSmall = "ppp.ip6_pkt_too_small",
    PppWrongType = "ppp.wrong_type",
    PppoeTooSmall = "pppoe.pkt_too_small",
    PppoeWrongCode = "pppoe.wrong_code",
    PppoeMalformedTags = "pppoe.malformed_tags",
    ChdlcTooSmall = "chdlc.pkt_too_small",
    MplsHeaderTooSmall = "mpls.header_too_small",
    MplsTooSmall = "mpls.pkt_too_small",
    MplsBadLabelRouterAlert = "mpls.bad_label_router_alert",
    MplsBadLabelImplicitNull = "mpls.bad_label_implicit_null",
    MplsBadLabelReserved = "mpls.bad_label_reserved",
    MplsUnknownPayload = "mpls.unknown_payload_type",
    BackboneTooSmall = "ieee8021ah.header_too_small",
    FabricPathTooSmall = "dce.pkt_too_small",
    VnTagTooSmall = "vntag.header_too_small",
    VnTagUnknownType = "vntag.unknown_type",
    ETagTooSmall = "etag.header_too_small",
    ETagUnknownType = "etag.unknown_type",
    NshTooSmall = "nsh.header_too_small",
    NshUnsupportedVersion = "nsh.unsupported_version",
    NshBadHeaderLength = "nsh.bad_header_length",
    NshReservedType = "nsh.reserved_type",
    NshUnsupportedType = "nsh.unsupported_type",
    NshUnknownPayload = "nsh.unknown_payload",
    /// See [`super::MAX_LAYERS`].
    TooManyLayers = "too_many_layers",

    GreTooSmall = "gre.pkt_too_small",
    GreWrongVersion = "gre.wrong_version",
    GreVersion0Recursion = "gre.version0_recur",
    GreVersion0Flags = "gre.version0_flags",
    GreVersion0HeaderTooBig = "gre.version0_hdr_too_big",
    GreVersion0MalformedSourceRoute = "gre.version0_malformed_sre_hdr",
    GreVersion1Checksum = "gre.version1_chksum",
    GreVersion1Route = "gre.version1_route",
    GreVersion1SourceRoute = "gre.version1_ssr",
    GreVersion1Recursion = "gre.version1_recur",
    GreVersion1Flags = "gre.version1_flags",
    GreVersion1NoKey = "gre.version1_no_key",
    GreVersion1WrongProtocol = "gre.version1_wrong_protocol",
    /// Never raised, here as in Suricata: version 1 with routing is `gre.version1_route`.
    GreVersion1MalformedSourceRoute = "gre.version1_malformed_sre_hdr",
    GreVersion1HeaderTooBig = "gre.version1_hdr_too_big",
    ErspanTooSmall = "erspan.header_too_small",
    ErspanUnsupportedVersion = "erspan.unsupported_version",
    ErspanTooManyVlanLayers = "erspan.too_many_vlan_layers",
    GeneveUnknownPayload = "geneve.unknown_payload_type",
    Ipv4InIpv6TooSmall = "ipv6.ipv4_in_ipv6_too_small",
    Ipv4InIpv6WrongVersion = "ipv6.ipv4_in_ipv6_wrong_version",
    Ipv6InIpv6TooSmall = "ipv6.ipv6_in_ipv6_too_small",
    Ipv6InIpv6WrongVersion = "ipv6.ipv6_in_ipv6_wrong_version",
    RawInvalidVersion = "ipraw.invalid_ip_version",

    Ipv4TooSmall = "ipv4.pkt_too_small",
    Ipv4HeaderLengthTooSmall = "ipv4.hlen_too_small",
    Ipv4LengthSmallerThanHeader = "ipv4.iplen_smaller_than_hlen",
    Ipv4Truncated = "ipv4.trunc_pkt",
    Ipv4WrongVersion = "ipv4.wrong_ip_version",
    Ipv4OptionInvalid = "ipv4.opt_invalid",
    Ipv4OptionInvalidLength = "ipv4.opt_invalid_len",
    Ipv4OptionMalformed = "ipv4.opt_malformed",
    Ipv4OptionPadRequired = "ipv4.opt_pad_required",
    Ipv4OptionEolRequired = "ipv4.opt_eol_required",
    Ipv4OptionDuplicate = "ipv4.opt_duplicate",
    /// Never raised, here as in Suricata: an unknown option is `ipv4.opt_invalid`.
    Ipv4OptionUnknown = "ipv4.opt_unknown",
    Ipv4WithIcmpv6 = "ipv4.icmpv6",
    /// A fragment overlaps another one.
    Ipv4FragmentOverlap = "ipv4.frag_overlap",
    /// A fragment ends behind the largest datagram there can be.
    Ipv4FragmentTooLarge = "ipv4.frag_pkt_too_large",

    Ipv6TooSmall = "ipv6.pkt_too_small",
    Ipv6Truncated = "ipv6.trunc_pkt",
    Ipv6TruncatedExtension = "ipv6.trunc_exthdr",
    Ipv6WrongVersion = "ipv6.wrong_ip_version",
    Ipv6DuplicateFragment = "ipv6.exthdr_dupl_fh",
    Ipv6UselessFragment = "ipv6.exthdr_useless_fh",
    Ipv6FragmentReserved = "ipv6.fh_non_zero_reserved_field",
    Ipv6FragmentInvalidLength = "ipv6.frag_invalid_length",
    /// Not kept: too many of one datagram, or behind its end.
    Ipv4FragmentIgnored = "ipv4.frag_ignored",
    /// See [`Event::Ipv4FragmentIgnored`].
    Ipv6FragmentIgnored = "ipv6.frag_ignored",
    /// Not one of Suricata's: a fragment of a datagram that was made whole already, so a host may have made
    /// another one of it.
    Ipv4FragmentAgain = "ipv4.frag_again",
    /// See [`Event::Ipv4FragmentAgain`].
    Ipv6FragmentAgain = "ipv6.frag_again",
    Ipv6DuplicateRouting = "ipv6.exthdr_dupl_rh",
    Ipv6RoutingType0 = "ipv6.rh_type_0",
    Ipv6DuplicateHopByHop = "ipv6.exthdr_dupl_hh",
    Ipv6DuplicateDestination = "ipv6.exthdr_dupl_dh",
    Ipv6DuplicateAuthentication = "ipv6.exthdr_dupl_ah",
    Ipv6InvalidOptionLength = "ipv6.exthdr_invalid_optlen",
    Ipv6AuthenticationReserved = "ipv6.exthdr_ah_res_not_null",
    Ipv6HopByHopUnknownOption = "ipv6.hopopts_unknown_opt",
    Ipv6HopByHopOnlyPadding = "ipv6.hopopts_only_padding",
    Ipv6DestinationUnknownOption = "ipv6.dstopts_unknown_opt",
    Ipv6DestinationOnlyPadding = "ipv6.dstopts_only_padding",
    Ipv6ZeroLengthPadN = "ipv6.zero_len_padn",
    Ipv6DataAfterNone = "ipv6.data_after_none_header",
    Ipv6UnknownNextHeader = "ipv6.unknown_next_header",
    /// Never raised, here as in Suricata: ESP ends the chain.
    Ipv6DuplicateEsp = "ipv6.exthdr_dupl_eh",
    Ipv6WithIcmpv4 = "ipv6.icmpv4",
    /// See [`Event::Ipv4FragmentOverlap`].
    Ipv6FragmentOverlap = "ipv6.frag_overlap",
    /// See [`Event::Ipv4FragmentTooLarge`].
    Ipv6FragmentTooLarge = "ipv6.frag_pkt_too_large",

    Icmpv4TooSmall = "icmpv4.pkt_too_small",
    Icmpv4UnknownType = "icmpv4.unknown_type",
    Icmpv4UnknownCode = "icmpv4.unknown_code",
    Icmpv4EmbeddedTruncated = "icmpv4.ipv4_trunc_pkt",
    Icmpv4EmbeddedVersion = "icmpv4.ipv4_unknown_ver",
    Icmpv6TooSmall = "icmpv6.pkt_too_small",
    Icmpv6UnknownType = "icmpv6.unknown_type",
    Icmpv6UnknownCode = "icmpv6.unknown_code",
    Icmpv6EmbeddedTruncated = "icmpv6.ipv6_trunc_pkt",
    Icmpv6EmbeddedVersion = "icmpv6.ipv6_unknown_version",
    Icmpv6MldHopLimit = "icmpv6.mld_message_with_invalid_hl",
    Icmpv6UnassignedType = "icmpv6.unassigned_type",
    Icmpv6ExperimentationType = "icmpv6.experimentation_type",

    TcpTooSmall = "tcp.pkt_too_small",
    TcpHeaderLengthTooSmall = "tcp.hlen_too_small",
    TcpInvalidOptionLength = "tcp.invalid_optlen",
    TcpOptionInvalidLength = "tcp.opt_invalid_len",
    TcpOptionDuplicate = "tcp.opt_duplicate",
    UdpTooSmall = "udp.pkt_too_small",
    UdpHeaderTooSmall = "udp.hlen_too_small",
    UdpLengthInvalid = "udp.len_invalid",
    SctpTooSmall = "sctp.pkt_too_small",
    EspTooSmall = "esp.pkt_too_small",

    /// Not one of Suricata's decoder events (it has the keyword `ipv4-csum`). Raised only where the
    /// source's checksums are verified.
    Ipv4BadChecksum = "ipv4.bad_checksum",
    /// See [`Event::Ipv4BadChecksum`].
    TcpBadChecksum = "tcp.bad_checksum",
    /// See [`Event::Ipv4BadChecksum`].
    UdpBadChecksum = "udp.bad_checksum",
    /// See [`Event::Ipv4BadChecksum`].
    Icmpv4BadChecksum = "icmpv4.bad_checksum",
    /// See [`Event::Ipv4BadChecksum`].
    Icmpv6BadChecksum = "icmpv6.bad_checksum",
}

const _: () = assert!(Event::ALL.len() <= 192);

impl Event {
    /// The event of a name, as `decode-event` takes it: in any case, without `decoder.`.
    pub fn from_name(name: &str) -> Option<Self> {
        // What it was before Suricata 7 told headers from lengths.
        let name = match name.eq_ignore_ascii_case("udp.hlen_invalid") {
            true => "udp.len_invalid",
            false => name,
        };
        Self::ALL.iter().copied().find(|event| event.name().eq_ignore_ascii_case(name))
    }
}
