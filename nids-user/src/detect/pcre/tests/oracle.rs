//! PCRE2 itself, without its JIT compiler.

use std::ptr::null_mut;

use pcre2_sys::*;

/// The places of all groups.
type Places = Vec<Option<(usize, usize)>>;

/// A pattern compiled by PCRE2.
pub struct Oracle {
    code: *mut pcre2_code_8,
    data: *mut pcre2_match_data_8,
    context: *mut pcre2_match_context_8,
}

impl Oracle {
    /// Compiles a pattern as Suricata does; the number of PCRE2's error where it is none.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn new(pattern: &[u8], letters: &str) -> Result<Self, i32> {
        Self::compile(pattern, letters, 0)
    }

    /// Without optimizations, of which two are wrong in 10.46: `.*\R` finds no `\r`, since it is taken for
    /// no byte that both can match, and `(?=A|(?i)A)` no `a`.
    #[allow(dead_code, reason = "the tests use it")]
    pub fn plain(pattern: &[u8], letters: &str) -> Result<Self, i32> {
        Self::compile(pattern, letters, PCRE2_NO_AUTO_POSSESS | PCRE2_NO_START_OPTIMIZE)
    }

    fn compile(pattern: &[u8], letters: &str, more: u32) -> Result<Self, i32> {
        let options = letters.chars().fold(PCRE2_NEVER_UTF | more, |options, letter| {
            options
                | match letter {
                    'i' => PCRE2_CASELESS,
                    'm' => PCRE2_MULTILINE,
                    's' => PCRE2_DOTALL,
                    'x' => PCRE2_EXTENDED,
                    'E' => PCRE2_DOLLAR_ENDONLY,
                    'G' => PCRE2_UNGREEDY,
                    'A' => PCRE2_ANCHORED,
                    _ => PCRE2_NO_AUTO_CAPTURE,
                }
        });
        let (mut error, mut at) = (0, 0);
        // SAFETY: the pattern is passed with its length; all results are checked for null and owned here.
        unsafe {
            let code = pcre2_compile_8(
                pattern.as_ptr(),
                pattern.len(),
                options,
                &mut error,
                &mut at,
                null_mut(),
            );
            if code.is_null() {
                return Err(error);
            }
            let data = pcre2_match_data_create_from_pattern_8(code, null_mut());
            let context = pcre2_match_context_create_8(null_mut());
            assert!(!data.is_null() && !context.is_null());
            pcre2_set_match_limit_8(context, 200_000);
            Ok(Self { code, data, context })
        }
    }

    /// Whether it matches. `Err` where PCRE2 gives up.
    #[allow(dead_code, reason = "the benchmark uses it")]
    pub fn matches(&self, subject: &[u8]) -> Result<bool, i32> {
        // SAFETY: the subject is passed with its length.
        let count = unsafe {
            pcre2_match_8(self.code, address(subject), subject.len(), 0, 0, self.data, self.context)
        };
        match count {
            PCRE2_ERROR_NOMATCH => Ok(false),
            0.. => Ok(true),
            error => Err(error),
        }
    }

    /// Matches: the places of all groups, group 0 first. `Err` where PCRE2 gives up.
    #[allow(dead_code, reason = "the tests use it")]
    pub fn find(&self, subject: &[u8], from: usize) -> Result<Option<Places>, i32> {
        // SAFETY: the subject is passed with its length; the vector has two places for each of the groups
        // that the call says it has set.
        unsafe {
            let count = pcre2_match_8(
                self.code,
                address(subject),
                subject.len(),
                from,
                0,
                self.data,
                self.context,
            );
            if count == PCRE2_ERROR_NOMATCH {
                return Ok(None);
            }
            if count < 0 {
                return Err(count);
            }
            let places = pcre2_get_ovector_pointer_8(self.data);
            let groups = (0..count as usize).map(|group| {
                let (start, end) = (*places.add(2 * group), *places.add(2 * group + 1));
                (start != usize::MAX).then_some((start, end))
            });
            Ok(Some(groups.collect()))
        }
    }
}

/// Where the subject lies. PCRE2 counts back from its end, which must not wrap around: what is empty in
/// Rust has no address that could be told.
fn address(subject: &[u8]) -> *const u8 {
    if subject.is_empty() { [0].as_ptr() } else { subject.as_ptr() }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // SAFETY: these are owned, and freed once.
        unsafe {
            pcre2_match_context_free_8(self.context);
            pcre2_match_data_free_8(self.data);
            pcre2_code_free_8(self.code);
        }
    }
}
