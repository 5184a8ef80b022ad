//! How values of a type are encoded.

use apache_avro::{
    Schema,
    schema::{DecimalSchema, InnerDecimalSchema, UuidSchema},
};

/// How values of a type are encoded, independently of their meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageForm {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    /// Text or bytes; each can be read as the other.
    Bytes,
    Fixed(usize),
    /// A type with inner types, or an undefined one.
    Other,
}

/// The form in which values of a type are encoded.
pub(crate) fn storage_form(schema: &Schema) -> StorageForm {
    match schema {
        Schema::Null => StorageForm::Null,
        Schema::Boolean => StorageForm::Boolean,
        Schema::Int | Schema::Date | Schema::TimeMillis => StorageForm::Int,
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => StorageForm::Long,
        Schema::Float => StorageForm::Float,
        Schema::Double => StorageForm::Double,
        Schema::Bytes
        | Schema::String
        | Schema::BigDecimal
        | Schema::Uuid(UuidSchema::String | UuidSchema::Bytes)
        | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Bytes, .. }) => StorageForm::Bytes,
        Schema::Fixed(fixed)
        | Schema::Duration(fixed)
        | Schema::Uuid(UuidSchema::Fixed(fixed))
        | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(fixed), .. }) => {
            StorageForm::Fixed(fixed.size)
        }
        Schema::Array(_)
        | Schema::Map(_)
        | Schema::Union(_)
        | Schema::Record(_)
        | Schema::Enum(_)
        | Schema::Ref { .. } => StorageForm::Other,
    }
}
