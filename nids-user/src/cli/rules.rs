//! Flags on how rules are read, the same for `check`, `read` and `run`.

use std::path::PathBuf;

use crate::config::Settings;
use crate::rule::dialect::Dialect;

/// How rules are read.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Rules")]
pub struct RuleArgs {
    /// Dialect of the files that name none in a comment (# nids-dialect: snort3): suricata, snort2 or
    /// snort3 [default: each rule shows its own].
    #[arg(long, value_name = "DIALECT")]
    dialect: Option<Dialect>,
    /// Disable the rules this list names, as suricata-update does: 2019401, re:PATTERN, group:NAME,
    /// filename:PATTERN, metadata:KEY VALUE, one a line.
    #[arg(long, value_name = "FILE")]
    disable_conf: Option<PathBuf>,
    /// Enable the rules this list names, also where they are disabled by # or by --disable-conf.
    #[arg(long, value_name = "FILE")]
    enable_conf: Option<PathBuf>,
    /// Make drop rules of those this list names.
    #[arg(long, value_name = "FILE")]
    drop_conf: Option<PathBuf>,
    /// Change the text of rules: 2019401 "FROM" "TO", one a line.
    #[arg(long, value_name = "FILE")]
    modify_conf: Option<PathBuf>,
}

impl RuleArgs {
    /// Takes them over into the settings: what is given here is what counts.
    pub fn apply(&self, settings: &mut Settings) {
        let rules = &mut settings.rules;
        let over = |flag: &Option<PathBuf>, setting: &mut Option<PathBuf>| {
            if flag.is_some() {
                setting.clone_from(flag);
            }
        };
        over(&self.disable_conf, &mut rules.tuning.disable);
        over(&self.enable_conf, &mut rules.tuning.enable);
        over(&self.drop_conf, &mut rules.tuning.drop);
        over(&self.modify_conf, &mut rules.tuning.modify);
        rules.dialect = self.dialect.or(rules.dialect);
    }
}
