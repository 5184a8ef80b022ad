//! The scalar `Cents`: amounts of money.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

/// An amount in whole cents of a US dollar, written as a string of digits, e.g. `"81930000"` for $819,300.00.
///
/// A string, because GraphQL's `Int` ends at 21 million dollars, and because a JSON number above 2^53 is rounded by
/// JavaScript. Input also takes a plain integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CentsScalar(pub(super) i64);

/// An amount in whole cents of a US dollar, written as a string of digits, e.g. `"81930000"` for $819,300.00.
/// A string, because `Int` ends at 21 million dollars and JavaScript rounds numbers above 2^53. Input also takes a
/// plain integer.
#[Scalar(name = "Cents")]
impl ScalarType for CentsScalar {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => {
                text.parse().map(Self).map_err(|_| InputValueError::custom("cents are a whole number, e.g. \"150000\""))
            }
            Value::Number(number) => {
                number.as_i64().map(Self).ok_or_else(|| InputValueError::custom("cents are a whole number"))
            }
            Value::Null | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) | Value::List(_) | Value::Object(_) => {
                Err(InputValueError::expected_type(value))
            }
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_above_the_precision_of_javascript_is_exact() {
        let amount = CentsScalar(9_007_199_254_740_993);
        assert_eq!(amount.to_value(), Value::from("9007199254740993"));
        assert_eq!(CentsScalar::parse(amount.to_value()).unwrap(), amount);
    }

    #[test]
    fn fractions_and_words_are_refused() {
        for bad in [Value::from("1.5"), Value::from("ten"), Value::from(1.5), Value::Null] {
            assert!(CentsScalar::parse(bad).is_err());
        }
    }
}
