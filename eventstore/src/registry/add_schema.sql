with assigned as (
    update schema_registry.ids set last = last + 1 returning last
)
insert into schema_registry.schemas (id, schema_type, canonical, original)
select last, 'AVRO', $1, $2 from assigned
returning id
