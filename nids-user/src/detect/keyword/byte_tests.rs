//! Tables of cases for the keywords that read numbers.

use crate::detect::chain::tests::{holds, refusal};

#[test]
fn compares_numbers() {
    for (options, bytes, expected) in [
        ("byte_test:1,=,0x61,0;", "abcd", true),
        ("byte_test:1,=,0141,0;", "abcd", true),
        ("byte_test:2,=,0x6162,0;", "abcd", true),
        ("byte_test:2,=,0x6162,0,big;", "abcd", true),
        ("byte_test:2,=,0x6261,0,little;", "abcd", true),
        ("byte_test:4,=,0x61626364,0;", "abcd", true),
        ("byte_test:4,=,0x61626364,1;", "abcd", false),
        ("byte_test:1,!=,0x61,0;", "abcd", false),
        ("byte_test:1,!,0x61,1;", "abcd", true),
        ("byte_test:1,<,98,0;", "abcd", true),
        ("byte_test:1,!<,98,1;", "abcd", true),
        ("byte_test:1,<=,97,0;", "abcd", true),
        ("byte_test:1,>,97,0;", "abcd", false),
        ("byte_test:1,>=,97,0;", "abcd", true),
        ("byte_test:1,&,0x20,0;", "abcd", true),
        ("byte_test:1,!&,0x20,0;", "abcd", false),
        ("byte_test:1,&,0x80,0;", "abcd", false),
        ("byte_test:1,^,97,0;", "abcd", false),
        ("byte_test:1,^,98,0;", "abcd", true),
        // Outside nothing holds, nor its opposite.
        ("byte_test:1,=,0,9;", "abcd", false),
        ("byte_test:1,!=,0,9;", "abcd", false),
        ("byte_test:1,=,0,-1;", "abcd", false),
        (r#"content:"b"; byte_test:1,=,0x63,0,relative;"#, "abcd", true),
        (r#"content:"b"; byte_test:1,=,0x61,-2,relative;"#, "abcd", true),
        (r#"content:"d"; byte_test:1,=,0x64,-1,relative;"#, "abcd", true),
        (r#"content:"a"; byte_test:1,=,0x63,0,relative;"#, "abac", true),
        // The upper four bits, as a number of their own.
        ("byte_test:1,=,6,0,bitmask 0xf0;", "abcd", true),
        ("byte_test:3,=,123,1,string,dec;", "a123", true),
        ("byte_test:3,=,0x123,1,string,hex;", "a123", true),
        ("byte_test:4,=,0x12,0,string,hex;", "0x12", true),
        ("byte_test:3,=,0123,1,string,oct;", "a123", true),
        ("byte_test:4,=,18,0,string;", "0x12", true),
        ("byte_test:4,=,12,0,string,dec;", " 12x", true),
        ("byte_test:4,=,-1,0,string,dec;", "  -1", true),
        ("byte_test:4,=,0,0,string,dec;", "abcd", false),
        ("byte_test:4,=,8,0,string,oct;", "0108", true),
        ("byte_extract:1,0,x; byte_test:1,=,x,2;", "abac", true),
        ("byte_extract:1,0,x; byte_test:1,=,x,1;", "abac", false),
        ("byte_extract:1,0,x; byte_test:1,=,0x63,x;", "\u{3}bac", true),
        ("byte_extract:1,0,x; byte_test:x,=,0x6263,1;", "\u{2}bc", true),
    ] {
        assert_eq!(holds(options, bytes.as_bytes()), expected, "{options} {bytes:?}");
    }
}

#[test]
fn jumps() {
    for (options, bytes, expected) in [
        (r#"byte_jump:1,0; content:"c"; within:1;"#, "\u{2}abcd", true),
        (r#"byte_jump:1,0; content:"b"; within:1;"#, "\u{2}abcd", false),
        (r#"byte_jump:2,0,little; content:"c"; within:1;"#, "\u{1}\0bcd", true),
        (r#"content:"a"; byte_jump:1,0,relative; content:"d"; within:1;"#, "a\u{1}cd", true),
        (r#"byte_jump:1,0,multiplier 2; content:"c"; within:1;"#, "\u{1}abcd", true),
        (r#"byte_jump:1,0,align; content:"e"; within:1;"#, "\u{1}abcdef", true),
        (r#"byte_jump:1,0,from_beginning; content:"b"; within:1;"#, "\u{2}abcd", true),
        (
            r#"byte_jump:1,0,from_beginning,post_offset -1; content:"a"; within:1;"#,
            "\u{2}abcd",
            true,
        ),
        (r#"byte_jump:0,0,from_end,post_offset -2; content:"c"; within:1;"#, "abcd", true),
        (r#"byte_jump:1,1,string,dec; content:"d"; within:1;"#, "a2bcd", true),
        (r#"byte_jump:1,0,bitmask 0xf0; content:"b"; within:1;"#, "\u{1f}abcd", true),
        // Text is as long as its digits.
        (r#"byte_jump:3,0,string,dec; content:"c"; within:1;"#, "1bcd", true),
        // To behind the end there is no jump; to before the start it ends there.
        ("byte_jump:1,0;", "\u{5}abcd", false),
        ("byte_jump:1,0;", "\u{4}abcd", true),
        (r#"byte_jump:1,0,post_offset -9; content:"|01|"; within:1;"#, "\u{1}abcd", true),
        ("byte_jump:4,9;", "abcd", false),
        // Another hit of the content before may jump to where the rest is.
        (
            r#"content:"a"; byte_jump:1,0,relative; content:"z"; within:1;"#,
            "a\u{1}cd a\u{1}cz",
            true,
        ),
        (
            r#"content:"a"; byte_jump:1,0,relative,from_beginning; content:"y"; distance:0;"#,
            "..ya\u{9}a\u{1}bcd",
            true,
        ),
    ] {
        assert_eq!(holds(options, bytes.as_bytes()), expected, "{options} {bytes:?}");
    }
}

#[test]
fn extracts() {
    for (options, bytes, expected) in [
        (r#"byte_extract:1,0,x; content:"c"; offset:x;"#, "\u{3}bcc", true),
        (r#"byte_extract:1,0,x; content:"c"; offset:x;"#, "\u{3}cca", false),
        (r#"byte_extract:1,0,x; content:"cc"; depth:x;"#, "\u{3}cc", true),
        (r#"byte_extract:1,0,x; content:"cc"; depth:x;"#, "\u{2}cc", false),
        (r#"byte_extract:1,0,x; content:"cc"; offset:1; depth:x;"#, "\u{2}cc", true),
        (r#"byte_extract:1,0,x; content:"b"; content:"c"; distance:x;"#, "\u{1}bac", true),
        (r#"byte_extract:1,0,x; content:"b"; content:"c"; distance:x;"#, "\u{2}bac", false),
        (r#"byte_extract:1,0,x; content:"b"; content:"c"; within:x;"#, "\u{2}bac", true),
        (r#"byte_extract:1,0,x; content:"b"; content:"c"; within:x;"#, "\u{1}bac", false),
        // It leaves the cursor behind the number.
        (r#"byte_extract:1,1,x; content:"c"; within:1;"#, "abc", true),
        ("byte_extract:1,0,x,multiplier 3; byte_test:1,=,x,1;", "\u{2}\u{6}", true),
        ("byte_extract:1,0,x,align 4; byte_test:1,=,x,1;", "\u{2}\u{4}", true),
        ("byte_extract:1,0,x,align 2; byte_test:1,=,x,1;", "\u{3}\u{4}", true),
        ("byte_extract:2,0,x,string,hex; byte_test:1,=,x,2;", "61a", true),
        (r#"content:"a"; byte_extract:1,0,x,relative; byte_test:1,=,x,1,relative;"#, "abcb", true),
        // The value is that of the hit before: others are tried too.
        (
            r#"content:"a"; byte_extract:1,0,x,relative; content:"z"; offset:x; depth:1;"#,
            "a\u{1}a\u{5}_z",
            true,
        ),
        // Another content between, which does not depend on the first one.
        (
            r#"content:"a"; byte_extract:1,0,x,relative; content:"b"; content:"c"; distance:x;"#,
            "a\u{5}a\u{1}b_c",
            true,
        ),
        ("byte_extract:4,2,x;", "abcd", false),
    ] {
        assert_eq!(holds(options, bytes.as_bytes()), expected, "{options} {bytes:?}");
    }
}

#[test]
fn computes() {
    for (options, bytes, expected) in [
        ("byte_math:bytes 1, offset 0, oper +, rvalue 3, result x; byte_test:1,=,x,1;", "ad", true),
        ("byte_math:bytes 1,offset 0,oper -,rvalue 1,result x; byte_test:1,=,x,1;", "ba", true),
        ("byte_math:bytes 1,offset 0,oper *,rvalue 2,result x; byte_test:1,=,x,1;", "0`", true),
        ("byte_math:bytes 1,offset 0,oper /,rvalue 2,result x; byte_test:1,=,x,1;", "a0", true),
        ("byte_math:bytes 1,offset 0,oper <<,rvalue 1,result x; byte_test:1,=,x,1;", "0`", true),
        ("byte_math:bytes 1,offset 0,oper >>,rvalue 1,result x; byte_test:1,=,x,1;", "`0", true),
        ("byte_math:bytes 1,offset 0,oper <<,rvalue 64,result x; byte_test:1,=,x,1;", "`\0", true),
        ("byte_extract:1,1,y; byte_math:bytes 1,offset 0,oper /,rvalue y,result x;", "a\0", false),
        (
            "byte_extract:1,1,y; byte_math:bytes 1,offset 0,oper /,rvalue y,result x;",
            "a\u{1}",
            true,
        ),
        (
            "byte_math:bytes 2,offset 0,oper +,rvalue 0,result x,endian little; byte_test:2,=,x,2;",
            "abba",
            true,
        ),
        (
            "byte_math:bytes 2,offset 0,oper +,rvalue 1,result x,string dec; byte_test:1,=,x,2;",
            "96a",
            true,
        ),
        (
            "byte_math:bytes 1,offset 0,oper +,rvalue 1,result x,bitmask 0xf0; byte_test:1,=,x,1;",
            "\u{3f}\u{4}",
            true,
        ),
        (
            r#"content:"a"; byte_math:bytes 1,offset 1,oper +,rvalue 1,result x,relative; content:"d"; within:1;"#,
            "abcd",
            true,
        ),
    ] {
        assert_eq!(holds(options, bytes.as_bytes()), expected, "{options} {bytes:?}");
    }
}

#[test]
fn refuses_what_cannot_be() {
    for (options, place) in [
        ("byte_test:9,=,0,0;", "9"),
        ("byte_test:0,=,0,0;", "0"),
        ("byte_test:24,=,0,0,string,dec;", "24"),
        ("byte_test:1,==,0,0;", "=="),
        ("byte_test:1,!!,0,0;", "!!"),
        ("byte_test:1,<>,0,0;", "<>"),
        ("byte_test:1,=,0;", "1,=,0"),
        ("byte_test:1,=,0x,0;", "0x"),
        ("byte_test:1,=,08,0;", "08"),
        ("byte_test:1,=,x,0;", "x"),
        ("byte_test:1,=,0,65536;", "65536"),
        ("byte_test:1,=,0,0,relativ;", "relativ"),
        ("byte_test:1,=,0,0,dce;", "dce"),
        ("byte_test:1,=,0,0,hex;", "hex"),
        ("byte_test:1,=,0,0,little,big;", "big"),
        ("byte_test:1,=,0,0,string,dec,little;", "little"),
        ("byte_test:1,=,0,0,bitmask;", "bitmask"),
        ("byte_test:1,=,0,0,bitmask 0;", "0"),
        ("byte_test:1,=,0,0,multiplier 2;", "multiplier 2"),
        ("byte_jump:4;", "4"),
        ("byte_jump:4,0,from_end,from_beginning;", "from_beginning"),
        ("byte_jump:4,0,multiplier 0;", "0"),
        ("byte_jump:4,0,align 4;", "4"),
        ("byte_extract:0,0,x;", "0"),
        ("byte_extract:1,0,1x;", "1x"),
        ("byte_extract:1,0,x,align 3;", "3"),
        ("byte_extract:1,0,x; byte_extract:1,1,x;", "x"),
        ("byte_math:bytes 1,offset 0,oper +,rvalue 1;", "bytes 1,offset 0,oper +,rvalue 1"),
        ("byte_math:bytes 1,offset 0,oper %,rvalue 1,result x;", "%"),
        ("byte_math:bytes 1,offset 0,oper /,rvalue 0,result x;", "0"),
        ("byte_math:bytes 1,bytes 1,offset 0,oper /,rvalue 1,result x;", "bytes"),
        ("byte_math:bytes 1,offset 0,oper +,rvalue y,result x;", "y"),
        (r#"content:"a"; offset:x;"#, "x"),
    ] {
        assert_eq!(refusal(options), place, "{options}");
    }
}
