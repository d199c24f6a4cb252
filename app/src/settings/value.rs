//! Values as they are written, and as they are meant.

use std::path::PathBuf;
use std::time::Duration;

use crate::tls::ClientCertificates;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
    List(Vec<String>),
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// What the name says.
    Plain,
    Bytes,
}

/// What a setting can be.
pub(super) trait Setting: Sized {
    /// Takes the value; an error continues the sentence that begins with the setting's name.
    fn read(value: &Value, unit: Unit) -> Result<Self, String>;

    /// How it would be written.
    #[cfg(test)]
    fn shown(&self, unit: Unit) -> String;
}

impl Value {
    /// `None` for forms that no setting has.
    pub(super) fn of_toml(value: &toml::Value) -> Option<Self> {
        match value {
            toml::Value::String(text) => Some(Self::Text(text.clone())),
            toml::Value::Integer(number) => Some(Self::Number(*number)),
            toml::Value::Boolean(is) => Some(Self::Bool(*is)),
            toml::Value::Array(items) => {
                let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(String::from)).collect();
                texts.map(Self::List)
            }
            _ => None,
        }
    }
}

impl Setting for u64 {
    fn read(value: &Value, unit: Unit) -> Result<Self, String> {
        let problem = || match unit {
            Unit::Plain => String::from("is a whole number that is not negative"),
            Unit::Bytes => String::from("is a number of bytes, or a text such as \"64 KiB\" or \"1 MiB\""),
        };
        match value {
            Value::Number(number) => u64::try_from(*number).map_err(|_| problem()),
            Value::Text(text) => {
                let (number, word) = split(text);
                let factor = match (unit, word) {
                    (_, "") | (Unit::Bytes, "B") => 1,
                    (Unit::Bytes, "KiB") => 1 << 10,
                    (Unit::Bytes, "MiB") => 1 << 20,
                    (Unit::Bytes, "GiB") => 1 << 30,
                    _ => return Err(problem()),
                };
                number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(problem)
            }
            _ => Err(problem()),
        }
    }

    #[cfg(test)]
    fn shown(&self, unit: Unit) -> String {
        match (unit, self) {
            (Unit::Bytes, bytes) if *bytes >= 1 << 20 && bytes % (1 << 20) == 0 => format!("\"{} MiB\"", bytes >> 20),
            (Unit::Bytes, bytes) if *bytes >= 1 << 10 && bytes % (1 << 10) == 0 => format!("\"{} KiB\"", bytes >> 10),
            _ => self.to_string(),
        }
    }
}

macro_rules! smaller {
    ($($number:ty)*) => {$(
        impl Setting for $number {
            fn read(value: &Value, unit: Unit) -> Result<Self, String> {
                let number = u64::read(value, unit)?;
                Self::try_from(number).map_err(|_| format!("is at most {}", Self::MAX))
            }

            #[cfg(test)]
            fn shown(&self, unit: Unit) -> String {
                self.to_string().parse::<u64>().unwrap_or_default().shown(unit)
            }
        }
    )*};
}

smaller!(u16 u32 usize);

impl Setting for Duration {
    fn read(value: &Value, _: Unit) -> Result<Self, String> {
        let problem = || String::from("is a time with its unit, such as \"30 s\", \"250 ms\" or \"5 min\"");
        let Value::Text(text) = value else { return Err(problem()) };
        let (number, word) = split(text);
        let number: u64 = number.parse().map_err(|_| problem())?;
        let seconds = |factor: u64| number.checked_mul(factor).map(Self::from_secs).ok_or_else(problem);
        match word {
            "ms" => Ok(Self::from_millis(number)),
            "s" => seconds(1),
            "min" => seconds(60),
            "h" => seconds(3600),
            _ => Err(problem()),
        }
    }

    #[cfg(test)]
    fn shown(&self, _: Unit) -> String {
        if self.subsec_millis() == 0 {
            format!("\"{} s\"", self.as_secs())
        } else {
            format!("\"{} ms\"", self.as_millis())
        }
    }
}

impl Setting for Option<Duration> {
    fn read(value: &Value, unit: Unit) -> Result<Self, String> {
        if *value == Value::Text(String::from("none")) {
            return Ok(None);
        }
        Duration::read(value, unit).map(Some).map_err(|problem| format!("{problem}, or \"none\""))
    }

    #[cfg(test)]
    fn shown(&self, unit: Unit) -> String {
        self.map_or_else(|| String::from("\"none\""), |time| time.shown(unit))
    }
}

impl Setting for Option<u8> {
    fn read(value: &Value, unit: Unit) -> Result<Self, String> {
        u8::try_from(u64::read(value, unit)?).map(Some).map_err(|_| format!("is at most {}", u8::MAX))
    }

    #[cfg(test)]
    fn shown(&self, _: Unit) -> String {
        self.map_or_else(String::new, |number| number.to_string())
    }
}

impl Setting for bool {
    fn read(value: &Value, _: Unit) -> Result<Self, String> {
        match value {
            Value::Bool(is) => Ok(*is),
            Value::Text(text) if text == "true" => Ok(true),
            Value::Text(text) if text == "false" => Ok(false),
            _ => Err(String::from("is true or false")),
        }
    }

    #[cfg(test)]
    fn shown(&self, _: Unit) -> String {
        self.to_string()
    }
}

impl Setting for Vec<String> {
    fn read(value: &Value, _: Unit) -> Result<Self, String> {
        match value {
            Value::List(list) => Ok(list.clone()),
            // The only form that the environment has.
            Value::Text(text) => Ok(text.split(',').map(|item| item.trim().to_owned()).collect()),
            _ => Err(String::from("is a list of texts")),
        }
    }

    #[cfg(test)]
    fn shown(&self, _: Unit) -> String {
        format!("{self:?}")
    }
}

impl Setting for Option<PathBuf> {
    fn read(value: &Value, _: Unit) -> Result<Self, String> {
        match value {
            Value::Text(text) if !text.is_empty() => Ok(Some(PathBuf::from(text))),
            _ => Err(String::from("is the path of a file")),
        }
    }

    #[cfg(test)]
    fn shown(&self, _: Unit) -> String {
        self.as_ref().map_or_else(String::new, |path| format!("{path:?}"))
    }
}

impl Setting for ClientCertificates {
    fn read(value: &Value, _: Unit) -> Result<Self, String> {
        match value {
            Value::Text(text) if text == "required" => Ok(Self::Required),
            Value::Text(text) if text == "optional" => Ok(Self::Optional),
            _ => Err(String::from("is \"required\" or \"optional\"")),
        }
    }

    #[cfg(test)]
    fn shown(&self, _: Unit) -> String {
        format!("{:?}", format!("{self:?}").to_lowercase())
    }
}

/// A number and the word behind it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, word) = text.split_at(end);
    (number, word.trim())
}
