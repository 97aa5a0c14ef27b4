//! Settings: defaults < flags. Names are Suricata's where Suricata has the setting.
