//! `deprecated-keyword`: old spellings, each with the one that took its place (Suricata user guide,
//! "Rules"; Snort 2.9 manual, 3.8).

use super::{Lint, Report, value};
use crate::rule::ast::{Rule, RuleOption};
use crate::rule::dialect::Dialect;

/// Suricata's old spellings, sorted, and the new ones.
const SURICATA: [(&str, &str); 55] = [
    ("dce_iface", "dcerpc.iface"),
    ("dce_opnum", "dcerpc.opnum"),
    ("dce_stub_data", "dcerpc.stub_data"),
    ("dnp3_data", "dnp3.data"),
    ("dnp3_func", "dnp3.func"),
    ("dnp3_ind", "dnp3.ind"),
    ("dnp3_obj", "dnp3.obj"),
    ("dns_query", "dns.query"),
    ("file_data", "file.data"),
    ("fileext", "file.name with endswith"),
    ("filemagic", "file.magic"),
    ("filename", "file.name"),
    ("http_accept", "http.accept"),
    ("http_accept_enc", "http.accept_enc"),
    ("http_accept_lang", "http.accept_lang"),
    ("http_client_body", "http.request_body"),
    ("http_connection", "http.connection"),
    ("http_content_len", "http.content_len"),
    ("http_content_type", "http.content_type"),
    ("http_cookie", "http.cookie"),
    ("http_header", "http.header"),
    ("http_header_names", "http.header_names"),
    ("http_host", "http.host"),
    ("http_method", "http.method"),
    ("http_protocol", "http.protocol"),
    ("http_raw_header", "http.header.raw"),
    ("http_raw_host", "http.host.raw"),
    ("http_raw_uri", "http.uri.raw"),
    ("http_referer", "http.referer"),
    ("http_request_line", "http.request_line"),
    ("http_response_line", "http.response_line"),
    ("http_server_body", "http.response_body"),
    ("http_start", "http.start"),
    ("http_stat_code", "http.stat_code"),
    ("http_stat_msg", "http.stat_msg"),
    ("http_uri", "http.uri"),
    ("http_user_agent", "http.user_agent"),
    ("ja3_hash", "ja3.hash"),
    ("ja3_string", "ja3.string"),
    ("krb5_cname", "krb5.cname"),
    ("krb5_msg_type", "krb5.msg_type"),
    ("krb5_sname", "krb5.sname"),
    ("nfs_procedure", "nfs.procedure"),
    ("nfs_version", "nfs.version"),
    ("smb_named_pipe", "smb.named_pipe"),
    ("smb_share", "smb.share"),
    ("ssh.protoversion", "ssh.proto"),
    ("ssh.softwareversion", "ssh.software"),
    ("tls.fingerprint", "tls.cert_fingerprint"),
    ("tls.issuerdn", "tls.cert_issuer"),
    ("tls.subject", "tls.cert_subject"),
    ("tls_cert_issuer", "tls.cert_issuer"),
    ("tls_cert_subject", "tls.cert_subject"),
    ("tls_sni", "tls.sni"),
    ("uricontent", "http.uri with content"),
];

pub(super) fn check(rule: &Rule, report: &mut Report) {
    for option in &rule.options {
        let Some((old, new)) = replaced(rule.dialect, option) else { continue };
        report.add(rule, Lint::DeprecatedKeyword, option.name.span, format!("`{old}` is old"));
        report.help(match new {
            "" => "leave it out: it does nothing".to_owned(),
            new => format!("write `{new}`"),
        });
    }
}

/// The old spelling, and what to write for it; nothing where it does nothing.
fn replaced(dialect: Dialect, option: &RuleOption) -> Option<(&str, &'static str)> {
    let name = option.name.node.as_str();
    match (dialect, name) {
        (Dialect::Suricata, "fast_pattern") if value(option).trim_ascii() == "only" => {
            Some(("fast_pattern:only", "fast_pattern"))
        }
        (Dialect::Suricata, "rawbytes") => Some((name, "")),
        (Dialect::Suricata, _) => {
            let at = SURICATA.binary_search_by_key(&name, |(old, _)| old).ok()?;
            SURICATA.get(at).map(|(_, new)| (name, *new))
        }
        (Dialect::Snort2, "uricontent") => Some((name, "content with http_uri")),
        (Dialect::Snort2, "threshold") => Some((name, "detection_filter")),
        (Dialect::Snort2 | Dialect::Snort3, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::keywords;

    #[test]
    fn known_keywords_in_order() {
        assert!(SURICATA.is_sorted_by(|a, b| a.0 < b.0));
        for (old, new) in SURICATA {
            let new = new.split(' ').next().unwrap_or_default();
            assert!(keywords::dialects(old).is_some(), "{old}");
            assert!(keywords::dialects(new).is_some(), "{new}");
        }
    }
}
