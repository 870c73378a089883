//! The formats of `DbgPrint` and of ntoskrnl's `printf` family.
//!
//! An argument is one slot of eight bytes, in the caller's registers and stack as in a `va_list`.

use kmdf_mock::UNICODE_STRING;

/// Most bytes of one conversion, so that a wrong precision does not use up the memory.
const WIDEST: usize = 4096;

/// Arguments one after the other.
pub(crate) struct Arguments {
    next: *const u64,
}

impl Arguments {
    /// # Safety
    /// From `first` on there are as many slots as the format takes.
    pub(crate) unsafe fn new(first: *const u64) -> Self {
        Self { next: first }
    }

    fn take(&mut self) -> u64 {
        // SAFETY: by the promise of `new` there is one more.
        let value = unsafe { self.next.read() };
        self.next = self.next.wrapping_add(1);
        value
    }
}

/// One conversion, from its percent sign on.
#[derive(Debug, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    /// Bytes of an integer, and whether a text is wide.
    bytes: usize,
    wide: bool,
    narrow: bool,
}

/// The bytes of a format, read one at a time up to its zero.
struct Reader {
    at: *const u8,
}

impl Reader {
    fn peek(&self) -> u8 {
        // SAFETY: the format ends with a zero, beyond which nobody reads.
        unsafe { self.at.read() }
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        if byte != 0 {
            self.at = self.at.wrapping_add(1);
        }
        byte
    }

    fn accept(&mut self, text: &[u8]) -> bool {
        let start = self.at;
        for &byte in text {
            if self.next() != byte {
                self.at = start;
                return false;
            }
        }
        true
    }

    fn number(&mut self, arguments: &mut Arguments) -> Option<i32> {
        if self.accept(b"*") {
            return Some(arguments.take() as i32);
        }
        let mut found = None;
        while self.peek().is_ascii_digit() {
            let digit = i32::from(self.next() - b'0');
            found = Some(found.unwrap_or(0).min(1 << 20) * 10 + digit);
        }
        found
    }
}

/// What `format` makes of the arguments.
///
/// # Safety
/// `format` ends with a zero, and the arguments are what it says.
pub(crate) unsafe fn format(format: *const u8, arguments: &mut Arguments) -> Vec<u8> {
    let mut reader = Reader { at: format };
    let mut text = Vec::new();
    loop {
        match reader.next() {
            0 => return text,
            b'%' => {
                let spec = spec(&mut reader, arguments);
                // SAFETY: by the caller's word.
                unsafe { convert(&mut text, &spec, reader.next(), arguments) };
            }
            byte => text.push(byte),
        }
    }
}

fn spec(reader: &mut Reader, arguments: &mut Arguments) -> Spec {
    let mut spec = Spec {
        bytes: 4,
        ..Spec::default()
    };
    loop {
        match reader.peek() {
            b'-' => spec.left = true,
            b'+' => spec.plus = true,
            b' ' => spec.space = true,
            b'0' => spec.zero = true,
            b'#' => spec.alternate = true,
            _ => break,
        }
        reader.next();
    }
    let width = reader.number(arguments).unwrap_or(0);
    spec.left |= width < 0;
    spec.width = (width.unsigned_abs() as usize).min(WIDEST);
    if reader.accept(b".") {
        let precision = reader.number(arguments).unwrap_or(0);
        spec.precision = usize::try_from(precision).ok().map(|p| p.min(WIDEST));
    }
    for (name, bytes) in [
        (&b"I64"[..], 8),
        (b"I32", 4),
        (b"ll", 8),
        (b"hh", 1),
        (b"I", 8),
        (b"j", 8),
        (b"z", 8),
        (b"t", 8),
        (b"h", 2),
        (b"l", 4),
        (b"w", 4),
    ] {
        if reader.accept(name) {
            spec.bytes = bytes;
            spec.wide = matches!(name, b"l" | b"w");
            spec.narrow = matches!(name, b"h");
            break;
        }
    }
    spec
}

/// # Safety
/// The argument is what `conversion` takes.
unsafe fn convert(text: &mut Vec<u8>, spec: &Spec, conversion: u8, arguments: &mut Arguments) {
    match conversion {
        b'd' | b'i' | b'u' | b'o' | b'x' | b'X' => {
            integer(text, spec, conversion, arguments.take())
        }
        b'p' => {
            let digits = format!("{:016X}", arguments.take());
            pad(text, spec, digits.as_bytes());
        }
        b'c' | b'C' => {
            let unit = arguments.take();
            let wide = spec.wide || (conversion == b'C' && !spec.narrow);
            let units = [unit as u16];
            let character = if wide {
                String::from_utf16_lossy(&units).into_bytes()
            } else {
                vec![unit as u8]
            };
            pad(text, spec, &character);
        }
        b's' | b'S' => {
            let wide = spec.wide || (conversion == b'S' && !spec.narrow);
            // SAFETY: by the caller's word.
            let found = unsafe { string(arguments.take(), wide, spec.precision) };
            pad(text, spec, &found);
        }
        b'Z' => {
            // SAFETY: by the caller's word.
            let found = unsafe { counted(arguments.take(), spec.wide) };
            let length = spec.precision.unwrap_or(usize::MAX).min(found.len());
            pad(text, spec, &found[..length]);
        }
        b'%' => text.push(b'%'),
        0 => text.push(b'%'),
        other => text.extend_from_slice(&[b'%', other]),
    }
}

fn integer(text: &mut Vec<u8>, spec: &Spec, conversion: u8, value: u64) {
    let unused = 64 - 8 * spec.bytes as u32;
    let unsigned = value << unused >> unused;
    let signed = (value << unused).cast_signed() >> unused;
    let (sign, magnitude) = match conversion {
        b'd' | b'i' if signed < 0 => ("-", signed.unsigned_abs()),
        b'd' | b'i' if spec.plus => ("+", signed.unsigned_abs()),
        b'd' | b'i' if spec.space => (" ", signed.unsigned_abs()),
        b'x' if spec.alternate && unsigned != 0 => ("0x", unsigned),
        b'X' if spec.alternate && unsigned != 0 => ("0X", unsigned),
        b'o' if spec.alternate && unsigned != 0 => ("0", unsigned),
        _ => ("", unsigned),
    };
    let digits = match conversion {
        b'x' => format!("{magnitude:x}"),
        b'X' => format!("{magnitude:X}"),
        b'o' => format!("{magnitude:o}"),
        _ => magnitude.to_string(),
    };
    let least = match spec.precision {
        Some(precision) => precision,
        None if spec.zero && !spec.left => spec.width.saturating_sub(sign.len()),
        None => 1,
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    pad(text, spec, format!("{sign}{zeros}{digits}").as_bytes());
}

fn pad(text: &mut Vec<u8>, spec: &Spec, content: &[u8]) {
    let blanks = vec![b' '; spec.width.saturating_sub(content.len())];
    if !spec.left {
        text.extend_from_slice(&blanks);
    }
    text.extend_from_slice(content);
    if spec.left {
        text.extend_from_slice(&blanks);
    }
}

/// A text that ends with a zero, or after so many characters.
///
/// # Safety
/// It does.
unsafe fn string(address: u64, wide: bool, most: Option<usize>) -> Vec<u8> {
    if address == 0 {
        return b"(null)".to_vec();
    }
    let most = most.unwrap_or(usize::MAX);
    let mut units = Vec::new();
    let mut bytes = Vec::new();
    while units.len() + bytes.len() < most {
        if wide {
            // SAFETY: no zero has come yet.
            match unsafe { (address as *const u16).add(units.len()).read() } {
                0 => break,
                unit => units.push(unit),
            }
        } else {
            // SAFETY: as above.
            match unsafe { (address as *const u8).add(bytes.len()).read() } {
                0 => break,
                byte => bytes.push(byte),
            }
        }
    }
    if wide {
        String::from_utf16_lossy(&units).into_bytes()
    } else {
        bytes
    }
}

/// The text of a `UNICODE_STRING`, or of an `ANSI_STRING`, which has the same shape.
///
/// # Safety
/// `address` is NULL or one.
unsafe fn counted(address: u64, wide: bool) -> Vec<u8> {
    if address == 0 {
        return b"(null)".to_vec();
    }
    // SAFETY: by the caller's word.
    let string = unsafe { (address as *const UNICODE_STRING).read() };
    let length = usize::from(string.Length);
    if string.Buffer.is_null() {
        return b"(null)".to_vec();
    }
    if wide {
        // SAFETY: as above.
        let units = unsafe { std::slice::from_raw_parts(string.Buffer, length / 2) };
        String::from_utf16_lossy(units).into_bytes()
    } else {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(string.Buffer.cast::<u8>(), length) }.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str, arguments: &[u64]) -> String {
        let text = format!("{text}\0");
        // SAFETY: the tests pass what the formats take.
        let bytes = unsafe {
            let mut arguments = Arguments::new(arguments.as_ptr());
            format(text.as_ptr(), &mut arguments)
        };
        String::from_utf8(bytes).expect("the text is UTF-8")
    }

    #[test]
    fn integers_have_the_length_that_the_format_says() {
        let all_ones = [u64::MAX];
        assert_eq!(made("%d", &all_ones), "-1");
        assert_eq!(made("%u", &all_ones), "4294967295");
        assert_eq!(made("%lu", &all_ones), "4294967295");
        assert_eq!(made("%llu", &all_ones), "18446744073709551615");
        assert_eq!(made("%I64x", &all_ones), "ffffffffffffffff");
        assert_eq!(made("%hu|%%|%hhd", &[u64::MAX, 130]), "65535|%|-126");
        assert_eq!(made("%zu", &[1 << 40]), "1099511627776");
        assert_eq!(made("%p", &[0xABC]), "0000000000000ABC");
    }

    #[test]
    fn width_precision_and_flags() {
        assert_eq!(
            made("[%5d][%-5d][%05d]", &[42, 42, (-42_i64) as u64]),
            "[   42][42   ][-0042]"
        );
        assert_eq!(
            made("[%#x][%+d][% d][%.4u]", &[255, 7, 7, 7]),
            "[0xff][+7][ 7][0007]"
        );
        assert_eq!(
            made("[%*d][%.*s]", &[6, 1, 2, c"abc".as_ptr() as u64]),
            "[     1][ab]"
        );
        assert_eq!(
            made("[%-8s][%8s]", &[c"ab".as_ptr() as u64; 2]),
            "[ab      ][      ab]"
        );
    }

    #[test]
    fn texts_wide_and_counted() {
        let mut wide: Vec<u16> = "wide".encode_utf16().collect();
        let string = UNICODE_STRING {
            Length: 8,
            MaximumLength: 8,
            Buffer: wide.as_mut_ptr(),
        };
        assert_eq!(made("%wZ.", &[(&raw const string) as u64]), "wide.");
        wide.push(0);
        let ended = wide.as_ptr() as u64;
        assert_eq!(
            made(
                "%ws %S %ls %hs",
                &[ended, ended, ended, c"n".as_ptr() as u64]
            ),
            "wide wide wide n"
        );
        assert_eq!(made("%s%c%wZ", &[0, 65, 0]), "(null)A(null)");
        assert_eq!(made("100%", &[]), "100%");
    }
}
