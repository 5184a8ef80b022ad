//! Compares types without fields.

use apache_avro::{Schema, schema::FixedSchema};

use crate::storage_form::{StorageForm, storage_form};

/// Why a reader cannot read a writer's values; `None` if it can.
pub(super) fn find_difference(reader: &Schema, writer: &Schema) -> Option<String> {
    let (new, old) = (kind_name(reader), kind_name(writer));
    if !can_read(storage_form(reader), storage_form(writer)) {
        return Some(format!("changed from {old} to {new}"));
    }
    if let (Some(new), Some(old)) = (as_fixed(reader), as_fixed(writer))
        && new.name.name() != old.name.name()
    {
        return Some(format!("the fixed {} was renamed to {}", old.name.name(), new.name.name()));
    }
    if let (Schema::Decimal(new), Schema::Decimal(old)) = (reader, writer)
        && (new.precision, new.scale) != (old.precision, old.scale)
    {
        return Some("changed the precision or scale of a decimal".to_owned());
    }
    // The value can be read but has another meaning.
    (logical_type_name(reader) != logical_type_name(writer)).then(|| format!("changed its meaning from {old} to {new}"))
}

fn can_read(reader: StorageForm, writer: StorageForm) -> bool {
    let wider: &[StorageForm] = match writer {
        StorageForm::Int => &[StorageForm::Int, StorageForm::Long, StorageForm::Float, StorageForm::Double],
        StorageForm::Long => &[StorageForm::Long, StorageForm::Float, StorageForm::Double],
        StorageForm::Float => &[StorageForm::Float, StorageForm::Double],
        StorageForm::Other => &[],
        StorageForm::Null | StorageForm::Boolean | StorageForm::Double | StorageForm::Bytes | StorageForm::Fixed(_) => {
            &[writer]
        }
    };
    wider.contains(&reader)
}

fn as_fixed(schema: &Schema) -> Option<&FixedSchema> {
    if let Schema::Fixed(fixed) = schema { Some(fixed) } else { None }
}

/// The logical type; `None` for plain types.
fn logical_type_name(schema: &Schema) -> Option<&'static str> {
    let plain = matches!(
        schema,
        Schema::Null
            | Schema::Boolean
            | Schema::Int
            | Schema::Long
            | Schema::Float
            | Schema::Double
            | Schema::Bytes
            | Schema::String
            | Schema::Fixed(_)
    );
    (!plain).then(|| kind_name(schema))
}

/// The name of the type in schemas.
pub(super) fn kind_name(schema: &Schema) -> &'static str {
    match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int => "int",
        Schema::Long => "long",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes => "bytes",
        Schema::String => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Union(_) => "union",
        Schema::Record(_) => "record",
        Schema::Enum(_) => "enum",
        Schema::Fixed(_) => "fixed",
        Schema::Decimal(_) => "decimal",
        Schema::BigDecimal => "big-decimal",
        Schema::Uuid(_) => "uuid",
        Schema::Date => "date",
        Schema::TimeMillis => "time-millis",
        Schema::TimeMicros => "time-micros",
        Schema::TimestampMillis => "timestamp-millis",
        Schema::TimestampMicros => "timestamp-micros",
        Schema::TimestampNanos => "timestamp-nanos",
        Schema::LocalTimestampMillis => "local-timestamp-millis",
        Schema::LocalTimestampMicros => "local-timestamp-micros",
        Schema::LocalTimestampNanos => "local-timestamp-nanos",
        Schema::Duration(_) => "duration",
        Schema::Ref { .. } => "an undefined type",
    }
}
